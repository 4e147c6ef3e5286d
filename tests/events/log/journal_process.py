"""An owner of journals in a process of its own, to be stopped and killed by tests.

Arguments: the log's URL, its options as JSON, the group, the topic it consumes, the topic with
its journals. It begins a term for each partition that it is given, and keeps the writer when the
partition is taken away. Prints ``owns N`` when what it owns changes. A line on stdin makes it
append that text to each of its journals, as it then believes it may, and print how each ended:
``committed`` or the name of the error.
"""

from __future__ import annotations

import json
import select
import sys

from events.log import open_log
from events.log.contract import Journal, Outgoing
from tests.events.log.site import outgoing


def main() -> None:
    url, options, group, source, target = sys.argv[1:]
    log = open_log(url, **json.loads(options))
    member = log.membership(group, [source])
    journals: dict[int, Journal] = {}
    owned: set[int] = set()
    while True:
        if select.select([sys.stdin], [], [], 0)[0]:
            text = sys.stdin.readline().strip()
            if not text:
                break
            for ended in log.commit([(each, outgoing(target, text)) for each in journals.values()]):
                print("committed" if isinstance(ended, int) else type(ended).__name__, flush=True)
        polled = member.poll(0.1)
        for _, number in polled.revoked:
            owned.discard(number)
        for each, number in polled.assigned:
            began = Outgoing(target, "term", b"process", {"ce_type": "test.TermBegan"}, number)
            owned.add(number)
            journals[number] = log.begin_term((target, number), began)
            member.follow((each, number), 0)
        if polled.assigned or polled.revoked:
            print(f"owns {len(owned)}", flush=True)
    member.close()
    log.close()


if __name__ == "__main__":
    main()
