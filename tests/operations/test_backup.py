"""What a backup holds for who steals it: a folder closed to others, and no password in clear."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from chronova.settings import file_of, load
from tests.operations.test_secrets import use_every_kind
from tests.parts.site import SDK_WARNS_OF_ITSELF, Site

pytestmark = SDK_WARNS_OF_ITSELF

FILES = ("clouds.yaml", "openrc", "chronova.toml", "kcat.conf", "consumer.properties")
BENEATH = ("kafka/server.properties", "postgres/password")
"""Where passwords lie in a site's own folder."""


@pytest.fixture(scope="module")
def copy(site: Site) -> Iterator[Path]:
    """A backup of a site in which every kind of secret was used."""
    use_every_kind(site)
    target = site.data.parent / "stolen"
    if site.settings.on_kafka:
        site.chronova("down")
    site.chronova("backup", str(target))
    site.chronova("up")
    yield target


def passwords(site: Site) -> set[str]:
    """All that the site has in clear, but for the login to what is not in its folder."""
    found = site.secrets | {site.passwords.admin, site.passwords.demo}
    if site.settings.log == "embedded":
        found.add(site.settings.log_options["sasl_plain_password"])
    if site.settings.database == "embedded":
        found.add((site.data / "postgres" / "password").read_text().strip())
    return found


def holders(paths: Iterable[Path], secrets: set[str]) -> set[Path]:
    """The files in which one of these is."""
    searched = [secret.encode() for secret in secrets]
    return {path for path in paths if path.is_file() and has(path.read_bytes(), searched)}


def has(content: bytes, searched: Iterable[bytes]) -> bool:
    return any(secret in content for secret in searched)


def test_no_file_of_it_holds_a_password_in_clear(site: Site, copy: Path) -> None:
    known = passwords(site)
    assert len(known) > 8 and all(len(secret) >= 12 for secret in known)
    own = {site.data / name for name in (*FILES, *BENEATH)}
    whole = {path for path in own if path.exists()} - {file_of(str(site.data))}
    assert holders(own, known) >= whole, "they are found where they are"
    assert holders(copy.rglob("*"), known) == set()
    names = {str(path.relative_to(site.data)) for path in whole}
    assert {name for name in names if (copy / name).exists()} == set()


def test_its_settings_are_the_sites_own(site: Site, copy: Path) -> None:
    kept, own = load(str(copy), {}), site.settings
    assert (kept.database, kept.log, kept.port) == (own.database, own.log, own.port)
    assert kept.log_options == ({} if own.log == "embedded" else own.log_options)


def test_it_is_closed_to_others(copy: Path) -> None:
    assert copy.stat().st_mode & 0o777 == 0o700
    paths = [path for path in copy.rglob("*") if not path.is_symlink()]
    assert len(paths) > 100
    assert [path for path in paths if path.lstat().st_mode & 0o077] == []
