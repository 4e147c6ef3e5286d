"""A member of a group in a process of its own, to be stopped and killed by tests.

Arguments: the log's URL, its options as JSON, the group, the topic it consumes, the topic it
writes to. Prints ``owns N`` when that changes and ``read N`` with the count of all it has read.
A line on stdin makes it transact what it has read, as it then believes it may, and print
``committed`` or ``fenced``.
"""

from __future__ import annotations

import json
import select
import sys

from events.log import open_log
from events.log.contract import Fenced
from tests.events.log.site import Consumer, after, outgoing


def main() -> None:
    url, options, group, source, target = sys.argv[1:]
    log = open_log(url, **json.loads(options))
    consumer = Consumer(log.member(group, [source]))
    while True:
        if select.select([sys.stdin], [], [], 0)[0]:
            if not sys.stdin.readline():
                break
            try:
                consumer.worker.transact(
                    outgoing(target, "of the process"), after(consumer.records)
                )
                print("committed", flush=True)
            except Fenced:
                print("fenced", flush=True)
        polled = consumer.step(0.1)
        if polled.assigned or polled.revoked:
            print(f"owns {len(consumer.owned)}", flush=True)
        if polled.records:
            print(f"read {len(consumer.records)}", flush=True)
    consumer.worker.close()
    log.close()


if __name__ == "__main__":
    main()
