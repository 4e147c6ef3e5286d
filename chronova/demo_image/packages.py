"""Debian packages, downloaded by apt (which checks their signatures) and unpacked, not installed.

Works as any user: where the machine's package lists are missing or stale, apt keeps its own in
the scratch folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

DOWNLOAD_TIMEOUT_S = 600


class DemoImageUnavailable(Exception):
    """The demo image cannot be built on this machine; the text says why, in one sentence."""


def unpacked_packages(names: Iterable[str], scratch: Path) -> tuple[Path, dict[str, str]]:
    """The folder with all packages' files, and each package's version.

    A meta-package (linux-image-cloud-amd64) stands for the first package that it depends on.
    """
    for program in ("apt-get", "apt-cache", "dpkg-deb"):
        if shutil.which(program) is None:
            raise DemoImageUnavailable(f"The demo image needs {program}, which is not here.")
    archives = scratch / "archives"
    archives.mkdir()
    try:
        _download(names, archives, [])
    except DemoImageUnavailable:
        options = _own_lists(scratch)
        _run(["apt-get", *options, "update", "-q"], archives)
        _download(names, archives, options)
    tree = scratch / "tree"
    versions = {}
    for archive in sorted(archives.glob("*.deb")):
        _run(["dpkg-deb", "--extract", str(archive), str(tree)], scratch)
        shown = _run(["dpkg-deb", "--show", str(archive)], scratch).split("\t")
        versions[shown[0].strip()] = shown[1].strip()
    return tree, versions


def _download(names: Iterable[str], folder: Path, options: list[str]) -> None:
    real = [_real_package(name, options) for name in names]
    sandbox = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []
    _run(["apt-get", *options, *sandbox, "-q", "download", *real], folder)


def _real_package(name: str, options: list[str]) -> str:
    if not name.startswith("linux-image-"):
        return name
    for line in _run(["apt-cache", *options, "depends", name], Path("/")).splitlines():
        kind, _, package = line.strip().partition(": ")
        if kind == "Depends":
            return package
    raise DemoImageUnavailable(f"The package lists know no {name}.")


def _own_lists(scratch: Path) -> list[str]:
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (scratch / folder).mkdir(parents=True, exist_ok=True)
    return [
        "-o",
        f"Dir::State={scratch / 'state'}",
        "-o",
        f"Dir::Cache={scratch / 'cache'}",
        "-o",
        "Dir::State::status=/var/lib/dpkg/status",
    ]


def _run(command: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_TIMEOUT_S,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        raise DemoImageUnavailable(
            f"{command[0]} did not finish within {DOWNLOAD_TIMEOUT_S} s."
        ) from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise DemoImageUnavailable(f"{command[0]} failed: {lines[-1].strip()}")
    return done.stdout
