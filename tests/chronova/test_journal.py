"""Logs are one JSON object a line, whoever writes, and say the role and the request."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
import logging, threading
import structlog
from chronova import journal
journal.begin("decider")
logger = structlog.get_logger("bus")
structlog.contextvars.bind_contextvars(request_id="req-1")
logger.warning("log_away", reason='a "quoted"\\nreason')
thread = threading.Thread(target=lambda: logger.info("elsewhere"))
thread.start(); thread.join()
logging.getLogger("kafka").warning('says "%s"', "x\\ny")
password = "secret of a local"
try:
    raise ValueError("wrong")
except ValueError:
    logger.exception("failed")
logger.debug("unsaid")
"""


def written() -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    assert "secret of a local" not in done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_each_line_is_one_object_with_role_and_request() -> None:
    lines = written()
    assert [line["event"] for line in lines] == ["log_away", "elsewhere", 'says "x\ny"', "failed"]
    assert {line["role"] for line in lines} == {"decider"}
    assert [line.get("request_id") for line in lines] == ["req-1", None, "req-1", "req-1"]
    assert [line["level"] for line in lines] == ["warning", "info", "warning", "error"]
    assert lines[0]["reason"] == 'a "quoted"\nreason'
    assert lines[2]["logger"] == "kafka"
    assert "ValueError: wrong" in lines[3]["exception"]
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_a_full_disk_ends_nobody() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    program = PROGRAM + "\nprint('survived')\n"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=full, timeout=60
        )
    assert done.stdout == b"survived\n"


def test_what_is_said_over_and_over_is_written_once() -> None:
    program = PROGRAM + "\nfor _ in range(50): logging.getLogger('kafka').error('away')\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert done.stderr.count(b'"away"') == 1
