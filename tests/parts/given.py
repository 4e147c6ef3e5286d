"""Given / when / then for any domain: facts, a command, what it led to. Pure.

    given(*facts).when(LockServer(server_id=S)).then(ServerLocked(...))
    given(*facts).when(StopServer(server_id=S)).refused(409, "vm_state")
    given(*facts).when(LockServer(server_id=S)).nothing()

Commands run through the real partition: encoded, decided, folded, reacted to.
"""

from __future__ import annotations

from typing import Any

import handlers.reactions  # noqa: F401 - registers what follows
from commands.decision import DECIDERS
from events import topics
from events.aggregate import AGGREGATES, folds_of
from events.log.contract import Outgoing, Record
from events.log.records import Codec, headers
from events.message import Command, Context, Event, Message
from events.outcome import CommandFailed, CommandRefused
from handlers.decider.deadlines import deadline_of
from handlers.decider.draft import Decided, Draft
from handlers.decider.effects import Effects
from handlers.decider.inputs import from_record
from handlers.decider.partition import Partition

NOW = 1_800_000_000_000_000
CODEC = Codec()
BYTES_MAX = 1 << 20


class Story:
    """A partition with a history; each ``when`` goes on from where the last one ended."""

    def __init__(self, domain: str) -> None:
        self.partition = Partition(domain, 0, CODEC)
        self._effects = Effects(topics.events(domain), 0, lambda topic: topics.PARTITIONS)
        self.at = NOW
        self.written: list[Message] = []
        self._commands = 0

    def having(self, *facts: Event) -> Story:
        """These facts have happened."""
        for fact in facts:
            for aggregate, id in folds_of(fact):
                states = self.partition.states[aggregate.name]
                state = aggregate.evolve(states.get(id), fact)
                if state is None or AGGREGATES[aggregate.name].gone(state):
                    states.pop(id, None)
                else:
                    states[id] = state
                key = (aggregate.name, id)
                self.partition.deadlines.note(key, deadline_of(key, state))
        self.partition.indexes.forget()
        return self

    def when(self, command: Command, at: int | None = None) -> Story:
        """This command is decided."""
        assert command.type_name in DECIDERS
        self._commands += 1
        context = Context(id=f"command-{self._commands}", time=self.at if at is None else at)
        self.decide(command, context)
        return self

    def decide(self, command: Command, context: Context) -> Decided:
        """This command, in this envelope."""
        made = headers(context, command.type_name, "/test")
        value = CODEC.encode(command)
        topic = topics.commands(self.partition.domain)
        record = Record(topic, 0, self._commands, context.time, "key", value, made)
        return self.take(record, context.time)

    def take(self, record: Record, now: int) -> Decided:
        """This record, whatever it holds; what it leads to is committed."""
        partition = self.partition
        draft = Draft(partition, self._effects, now, (BYTES_MAX, 8 * BYTES_MAX))
        draft.decide(from_record(record, partition.domain, now))
        draft.refused_at = range(len(draft.refusals))
        draft.finish(-1, [])
        partition.take(draft, partition.offset)
        facts = [out for out in draft.records if not out.headers["ce_type"].endswith(".Marked")]
        facts += draft.refusals
        effects = [effect for _, effect in draft.effects]
        self.outgoing: list[Outgoing] = [*facts, *(effect.record(CODEC) for effect in effects)]
        self.written = [CODEC.decode(out.value) for out in self.outgoing]
        return draft.decided[0]

    @property
    def facts(self) -> list[Event]:
        """What happened at the last ``when``."""
        return [m for m in self.written if isinstance(m, Event)]

    def follows(self, kind: type[Any]) -> list[Any]:
        """What of that kind followed in other domains or on hosts."""
        return [m for m in self.written if isinstance(m, kind)]

    def then(self, *facts: Event) -> Story:
        """Exactly these facts."""
        assert self.facts == list(facts)
        return self

    def happened(self, *kinds: type[Event]) -> Story:
        """Facts of exactly these kinds, in this order."""
        assert [type(fact) for fact in self.facts] == list(kinds), self.facts
        return self

    def nothing(self) -> Story:
        """Accepted, and nothing changed."""
        assert self.facts == []
        return self

    def refused(self, status: int, words: str = "") -> Story:
        """Refused with this status and a sentence that holds these words."""
        (fact,) = self.facts
        assert not isinstance(fact, CommandFailed), fact.reason
        assert isinstance(fact, CommandRefused), fact
        assert fact.status == status, fact
        assert words in fact.detail, fact.detail
        return self

    def state(self, aggregate: str, id: str) -> Any:
        """The state now; None when it is gone."""
        return self.partition.states[aggregate].get(id)


def given(domain: str, *facts: Event) -> Story:
    """A partition of ``domain`` in which these facts have happened."""
    return Story(domain).having(*facts)
