"""An owner of journals, as small as can be: answers each input once, in its journal.

Its state is how far each input was taken, folded from its own journal. Run as a process of its
own it may be stopped and killed by tests. Arguments: the log's URL, its options as JSON, the
group, the topic of inputs, the topic of journals. It prints ``owns N`` when that changes. A line
on stdin makes it commit to each journal that it owned, or still believes to; it prints the
outcomes.
"""

from __future__ import annotations

import json
import select
import sys
from itertools import groupby

from events.log import open_log
from events.log.contract import Fenced, Journal, Log, Outgoing, Record, TopicPartition

TERM, MARK = "term", "mark"


class Owner:
    """Partition n of ``inputs`` is answered in partition n of ``journals``."""

    def __init__(self, log: Log, group: str, inputs: str, journals: str) -> None:
        self.log = log
        self.journals = journals
        self.member = log.membership(group, [inputs])
        self.owned: dict[TopicPartition, Journal | None] = {}
        self.begun: dict[TopicPartition, Journal] = {}
        self.answered = 0

    def step(self, timeout_s: float = 0.2) -> bool:
        """Poll once and answer what came; say whether ownership changed."""
        polled = self.member.poll(timeout_s, 3)
        for source in polled.revoked:
            self.owned.pop(source, None)
        self.owned |= dict.fromkeys(polled.assigned)
        for source, journal in self.owned.items():
            if journal is None:
                self._begin(source)
        for source, records in groupby(polled.records, lambda record: record.source):
            self._answer(source, list(records))
        return bool(polled.revoked or polled.assigned)

    def commit(self, value: str) -> list[str]:
        """Write ``value`` with every writer that it ever had last; the outcomes."""
        outcomes = self.log.commit(
            [(one, [self._record(one, value)]) for one in self.begun.values()]
        )
        return ["fenced" if isinstance(one, Fenced) else "committed" for one in outcomes]

    def _begin(self, source: TopicPartition) -> None:
        """Begin a term, fold the journal up to there, read inputs from where they were taken."""
        place = (self.journals, source[1])
        journal = self.log.begin_term(place, Outgoing(place[0], TERM, b"", {}, place[1]))
        mark = 0
        reader = self.log.reader({place: 0})
        try:
            at = -1
            while at < journal.term:
                for record in reader.poll(1.0):
                    at = record.offset
                    mark = int(record.headers.get(MARK, mark))
        finally:
            reader.close()
        self.owned[source] = self.begun[source] = journal
        self.member.follow(source, mark)

    def _answer(self, source: TopicPartition, inputs: list[Record]) -> None:
        journal = self.owned[source]
        if journal is None:  # read before the term ended: they come again
            return
        answers = [
            Outgoing(self.journals, record.key, record.value, {MARK: str(record.offset + 1)})
            for record in inputs
        ]
        (outcome,) = self.log.commit([(journal, answers)])
        if isinstance(outcome, int):
            self.answered += len(answers)
        else:
            self.owned[source] = None

    def _record(self, journal: Journal, value: str) -> Outgoing:
        return Outgoing(journal.source[0], "key", value.encode(), {}, journal.source[1])


def main() -> None:
    url, options, group, inputs, journals = sys.argv[1:]
    log = open_log(url, **json.loads(options))
    owner = Owner(log, group, inputs, journals)
    while True:
        if select.select([sys.stdin], [], [], 0)[0]:
            if not sys.stdin.readline():
                break
            print(*owner.commit("of the process"), flush=True)
        if owner.step(0.1):
            print(f"owns {len(owner.owned)}", flush=True)
    owner.member.close()
    log.close()


if __name__ == "__main__":
    main()
