"""The openstack command, its imports done once: each call is a fork of a process that has them.

They take it 1.3 s of processor time, ten times what most commands need for the rest. What a call
does is the command's own ``main``, in a process of its own, with its own environment.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

PRELOADED = (
    *("openstackclient.shell", "openstackclient.compute.client", "openstackclient.image.client"),
    *("openstackclient.identity.client", "openstackclient.compute.v2.server"),
    *("openstackclient.compute.v2.flavor", "openstackclient.compute.v2.hypervisor"),
    *("openstackclient.compute.v2.keypair", "openstackclient.compute.v2.service"),
    *("openstackclient.identity.v3.catalog", "openstackclient.image.v2.image"),
    *("openstack.connection", "openstack.compute.v2._proxy", "openstack.image.v2._proxy"),
    *("openstack.identity.v3._proxy", "keystoneauth1.identity.v3"),
)

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["pytest", __name__, *PRELOADED])


def call(
    arguments: Sequence[str], environment: Mapping[str, str], timeout_s: float
) -> tuple[int, str, str]:
    """Exit code, standard output and error of ``openstack ARGUMENTS``. Raises ``TimeoutError``."""
    with tempfile.TemporaryDirectory(prefix="chronova-cli-") as folder:
        out, error = Path(folder, "out"), Path(folder, "error")
        process = _context.Process(
            target=_main, args=(list(arguments), dict(environment), str(out), str(error))
        )
        process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            process.close()
            raise TimeoutError(f"openstack {' '.join(arguments)}: no end in {timeout_s:.0f} s")
        code = process.exitcode
        process.close()
        return code, out.read_text(), error.read_text()


def _main(arguments: list[str], environment: dict[str, str], out: str, error: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for number, path in ((0, os.devnull), (1, out), (2, error)):
        file = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, m) for n, m in ((0, "r"), (1, "w"), (2, "w")))
    sys.argv = ["openstack", *arguments]
    try:
        code = import_module("openstackclient.shell").main(arguments)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    sys.exit(code)
