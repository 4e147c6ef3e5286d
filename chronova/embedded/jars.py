"""The development broker's jars and the Java that runs them.

Maven fetches the jars once, by ``broker.pom.xml``, into the user's cache
(``$XDG_CACHE_HOME/chronova``, else ``~/.cache/chronova``), which all brokers of this user share.
They are moved there only when complete: an interrupted download leaves nothing half usable.
Java and Maven are taken as they are, or installed by apt where that is allowed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

KAFKA_VERSION = "4.1.0"  # as in broker.pom.xml; a test holds them together

POM = Path(__file__).with_name("broker.pom.xml")

_PACKAGES = {"java": "default-jre-headless", "mvn": "maven"}
_DOWNLOAD_TIMEOUT_S = 600.0
_INSTALL_TIMEOUT_S = 600.0


class Missing(Exception):
    """Java, Maven or the jars cannot be had. Its text is one sentence for a user."""


def java() -> str:
    """The path of ``java``, installed if need be. Raises ``Missing``."""
    return _program("java")


def kafka_libs() -> Path:
    """The directory of Kafka's jars, downloaded if need be. Raises ``Missing``."""
    libs = cache_dir() / f"kafka-{KAFKA_VERSION}" / "libs"
    if libs.is_dir():
        return libs
    libs.parent.mkdir(parents=True, exist_ok=True)
    maven = _program("mvn")
    print(f"Fetching Kafka {KAFKA_VERSION} by Maven into {libs.parent}", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=libs.parent) as scratch:
        # Maven writes a target/ beside its pom: give it a copy outside the source tree.
        pom = shutil.copy(POM, scratch)
        fetched = Path(scratch) / "libs"
        _run_maven(maven, pom, fetched)
        with contextlib.suppress(OSError):  # another process was first: its jars are the same
            fetched.rename(libs)
    return libs


def cache_dir() -> Path:
    """Where this user's downloads are kept between runs."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "chronova"


def _run_maven(maven: str, pom: str, target: Path) -> None:
    command = [maven, "-q", "-B", "-f", pom, "dependency:copy-dependencies"]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={target}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DOWNLOAD_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise Missing(f"Maven did not fetch Kafka within {_DOWNLOAD_TIMEOUT_S:.0f} s.") from error
    if done.returncode != 0:
        reason = next((line for line in done.stdout.splitlines() if "ERROR" in line), "no reason")
        raise Missing(f"Maven could not fetch Kafka {KAFKA_VERSION}: {reason}")


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        _install(name)
        path = shutil.which(name)
    if path is None:
        raise Missing(f"The development broker needs {name}, which is not on the PATH.")
    return path


def _install(name: str) -> None:
    """Install what brings ``name`` by apt, as root or by a sudo that asks no password."""
    package = _PACKAGES[name]
    needed = f"The development broker needs {name}: install {package} (or your system's like it)."
    apt = shutil.which("apt-get")
    if apt is None:
        raise Missing(needed)
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if prefix and (shutil.which("sudo") is None or not _succeeds([*prefix, "true"])):
        raise Missing(needed)
    print(f"Installing {package} by apt, for the development broker", file=sys.stderr)
    if not _succeeds([*prefix, apt, "install", "-y", "--no-install-recommends", package]):
        _succeeds([*prefix, apt, "update"])
        if not _succeeds([*prefix, apt, "install", "-y", "--no-install-recommends", package]):
            raise Missing(f"apt could not install {package}, which the development broker needs.")


def _succeeds(command: list[str]) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, capture_output=True, env=environment, timeout=_INSTALL_TIMEOUT_S, umask=0o022
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
