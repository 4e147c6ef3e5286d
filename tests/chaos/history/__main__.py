"""Make a history and check it, or check one that was kept.

    python -m tests.chaos.history --minutes 10 --log kafka --seed 7
    python -m tests.chaos.history FILE

Exit code 1 and a sentence for each violation. The history is kept in a file that is named, the
logs of the site in a folder beside it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tests.bench.sites import site
from tests.chaos.history.checker import violations
from tests.chaos.history.entries import Fact, Request, read
from tests.chaos.history.run import SETTINGS, run
from tests.chaos.rounds import prepare
from tests.chaos.small_disk import NoSmallDisk, small_disk

DISK_MIB, DISK_MIB_A_MINUTE = 400, 60
SENTENCES_MAX = 40


def main() -> int:
    """Say what is wrong; 0 when nothing is."""
    options = _options()
    path = Path(options.file) if options.file else fresh(options)
    entries = read(path)
    kinds = Counter(type(entry).__name__ for entry in entries)
    requests = [entry for entry in entries if isinstance(entry, Request)]
    say(f"{path}: {dict(kinds)}")
    say(f"  {dict(sorted(Counter(_outcome(request) for request in requests).items()))}")
    say(f"  {dict(Counter(e.type for e in entries if isinstance(e, Fact)).most_common(12))}")
    wrong = violations(entries)
    for violation in wrong[:SENTENCES_MAX]:
        say(f"WRONG: {violation.kind}: {violation.sentence}")
    say(f"{len(wrong)} violations {dict(Counter(violation.kind for violation in wrong))}")
    return 1 if wrong else 0


def fresh(options: argparse.Namespace) -> Path:
    """Run a site and write its history; the file."""
    name = f"chronova-history-{options.log}-{options.seed}-"
    with tempfile.NamedTemporaryFile(prefix=name, suffix=".jsonl", delete=False) as file:
        path = Path(file.name)
    say(f"seed {options.seed}, history in {path}")
    with ExitStack() as stack:
        disk: Path | None = None
        if options.disk:
            try:
                size = DISK_MIB + round(DISK_MIB_A_MINUTE * options.minutes)
                disk = stack.enter_context(small_disk(size))
            except NoSmallDisk as error:
                say(f"{error}: no disk is filled")
        made = site(options.log, port=options.port, folder=disk, settings=SETTINGS)
        running = stack.enter_context(made)
        prepare(running)
        seconds, only = options.minutes * 60, tuple(options.only or ())
        try:
            run(
                *(running, path, options.seed, seconds),
                only=only,
                disk=disk,
                put_back=True,
                say=say,
            )
        finally:
            shutil.copytree(running.data / "logs", path.with_suffix(".logs"))
    return path


def say(line: str) -> None:
    """With the time."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stdout.flush()


def _outcome(request: Request) -> str:
    return f"{request.operation} {request.status or 'unknown'}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.history", description=__doc__)
    parser.add_argument("file", nargs="?", help="a history that was kept; else one is made")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--log", choices=("postgres", "kafka"), default="postgres")
    parser.add_argument("--port", type=int, default=18852)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    parser.add_argument("--only", action="append", help="this fault; may be repeated")
    parser.add_argument(
        "--disk",
        action="store_true",
        help="on a small disk, which gets full; where one can be mounted",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
