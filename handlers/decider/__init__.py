"""The decider: one process that decides the commands of partitions that the group gives it.

- ``loop``: takes inputs, decides, commits, delivers (``Decider``, ``run``)
- ``ownership``, ``owned``: partitions, their terms, and folding them when they are taken over
- ``takeover``: what that asks of the log, beside the loop
- ``partition``: the committed state of one partition, the fold of its journal
- ``draft``, ``attempt``: what a batch, and one command of it, come to, on top of a partition
  that they do not change
- ``inputs``, ``marks``: what is taken, and how far
- ``effects``, ``router``, ``outbox``: what follows from facts, which way it takes, its delivery
  (``receiver``, ``hand_over``: the state of each way)
- ``deadlines``, ``snapshot``
"""

from handlers.decider.loop import GROUP, Decider, wall_clock
from handlers.decider.running import run

__all__ = ["GROUP", "Decider", "run", "wall_clock"]
