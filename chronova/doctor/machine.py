"""This machine: versions, room on the disk, secrets' files, ports, libvirt."""

from __future__ import annotations

import shutil
import socket
import stat
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from packaging.requirements import Requirement

from chronova import __version__
from chronova.client import Client, ClientError
from chronova.doctor.finding import Finding, failed, ok, warning
from chronova.settings import Settings, file_of

DISK_FAILED_GIB, DISK_WARNING_GIB = 1, 5
DISK_WARNING_SHARE = 0.1

SECRETS = (
    "chronova.toml",
    "clouds.yaml",
    "openrc",
    "idempotency.key",
    "image-url.key",
    "host-proof.key",
    "kcat.conf",
    "consumer.properties",
)


def examine(settings: Settings) -> Iterator[Finding]:
    """All of it."""
    yield from versions()
    yield from disk(settings)
    yield from secrets(settings)
    yield from api(settings)
    if settings.driver == "libvirt":
        yield libvirt()


def versions() -> Iterator[Finding]:
    """Chronova's, and that of each library it needs."""
    yield ok("version", f"Chronova {__version__}, Python {sys.version.split()[0]}")
    from importlib.metadata import requires

    wrong = []
    for line in requires("chronova") or ():
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            there = version(requirement.name)
        except PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(there, prereleases=True):
            wrong.append(f"{requirement.name} is {there}, needed is {requirement.specifier}")
    if wrong:
        advice = "install Chronova again into an environment of its own: pip install -U chronova"
        yield failed("libraries", "; ".join(wrong), advice)
    else:
        yield ok("libraries", "all as Chronova needs them")


def disk(settings: Settings) -> Iterator[Finding]:
    """Room where the site's data lies."""
    path = settings.data_path
    if not path.is_dir():
        advice = "`chronova up` makes it; or give the right one with --data"
        yield failed("data folder", f"{path} does not exist", advice)
        return
    usage = shutil.disk_usage(path)
    free = usage.free / 2**30
    seen = f"{free:.1f} GiB of {usage.total / 2**30:.0f} GiB free in {path}"
    advice = "make room, or move the folder: image data, guests' disks and logs lie in it"
    if free < DISK_FAILED_GIB:
        yield failed("disk", seen, advice)
    elif free < DISK_WARNING_GIB or usage.free < usage.total * DISK_WARNING_SHARE:
        yield warning("disk", seen, advice)
    else:
        yield ok("disk", seen)


def secrets(settings: Settings) -> Iterator[Finding]:
    """Who can read what only Chronova may."""
    paths = [settings.data_path / name for name in SECRETS]
    paths += sorted((settings.data_path / "token-keys").glob("*"))
    there = [path for path in paths if path.is_file()]
    wide = [path for path in there if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if wide:
        names = " ".join(str(path) for path in wide)
        yield failed("secrets", f"others may read {names}", f"chmod 600 {names}")
    elif there:
        yield ok("secrets", f"{len(there)} files, for their owner only")
    if not file_of(settings.data).exists():
        advice = "fine if all settings come from the environment"
        yield warning("settings file", f"{file_of(settings.data)} does not exist", advice)


def api(settings: Settings) -> Iterator[Finding]:
    """Whether the API is what listens on its port."""
    place = f"{settings.bind}:{settings.port}"
    try:
        Client(settings.url).call("GET", "/identity/v3")
    except ClientError as error:
        if error.status:
            seen = f"{settings.url} answers {error.status}: {error}"
            yield failed("API", seen, f"{settings.url}/healthz says which part is ill")
        elif _listened(settings):
            advice = "end what listens there, or set another port"
            yield failed("API", f"another program listens on {place}", advice)
        else:
            advice = "start it: `chronova up`, or systemctl start chronova-api"
            yield failed("API", f"nothing answers at {settings.url}: {error}", advice)
        return
    yield ok("API", f"answers at {settings.url}")


def _listened(settings: Settings) -> bool:
    try:
        with socket.create_connection((settings.bind, settings.port), 2):
            return True
    except OSError:
        return False


def libvirt() -> Finding:
    """Whether libvirtd answers."""
    from chronova.embedded.libvirtd import URI, answers

    if answers():
        return ok("libvirt", f"answers at {URI}")
    advice = "systemctl start libvirtd; is this user in the group libvirt?"
    return failed("libvirt", f"nobody answers at {URI}", advice)
