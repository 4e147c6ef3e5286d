"""The decider: one process that decides the commands of partitions that the group gives it.

- ``loop``: takes inputs, decides, commits, delivers (``Decider``, ``run``)
- ``ownership``: partitions, their terms, and folding them when they are taken over
- ``partition``: the committed state of one partition, the fold of its journal
- ``draft``: what a batch comes to, on top of a partition that it does not change
- ``inputs``, ``marks``: what is taken, and how far
- ``effects``, ``outbox``: what follows from facts, and its delivery
- ``deadlines``, ``snapshot``
"""

from handlers.decider.loop import GROUP, Decider, run, wall_clock

__all__ = ["GROUP", "Decider", "run", "wall_clock"]
