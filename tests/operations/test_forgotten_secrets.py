"""A deleted server's secrets are nowhere, on each log: not with any key that the site still has.

All that the site keeps is searched: its files (the logs of processes, snapshots, hosts' states, the
database's and the broker's own files), the records of every topic, the rows of every table. What is
encrypted is tried with all keys that are left, also a copy that somebody took before.
"""

from __future__ import annotations

import base64
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidTag

from api.compute import secret_store
from api.compute.secret_store import Sealed
from chronova.host_keys import host_key
from chronova.secrets_fetch import SecretsFetch
from commands.compute.boot import BuildGuest
from commands.compute.guest import Guest
from events.log.records import Codec
from handlers.compute.drivers.contract import DriverError
from projections.connection import connect
from tests.parts.site import SDK_WARNS_OF_ITSELF, Site

pytestmark = SDK_WARNS_OF_ITSELF

KEY = re.compile(rb"[A-Za-z0-9+/_=-]{40,88}")
USER_DATA = "OS-EXT-SRV-ATTR:user_data"


class Given(msgspec.Struct, frozen=True):
    """A server and what it was given: ``data`` is random, so that nothing can compress it."""

    server_id: str
    data: bytes
    password: str

    @property
    def forms(self) -> list[bytes]:
        """What to search for: as it is, hexadecimal, in base64 at each place it may begin."""
        found = []
        for plain in (self.data[:48], self.password.encode()):
            found += [plain, plain.hex().encode()]
            for skipped in range(3):
                length = len(plain[skipped:]) // 3 * 3
                found.append(base64.b64encode(plain[skipped:][:length]))
        return found


def boot(cloud: Any, site: Site, name: str) -> Given:
    data, password = secrets.token_bytes(3000), f"Pw-{secrets.token_hex(12)}"
    server = cloud.compute.create_server(
        name=name,
        image_id=site.image,
        flavor_id="1",
        networks="none",
        admin_password=password,
        user_data=base64.b64encode(data).decode(),
        config_drive=True,
    )
    cloud.compute.wait_for_server(server, interval=0.1, wait=60)
    site.secrets.add(password)
    return Given(server.id, data, password)


def places(site: Site) -> Iterator[tuple[str, bytes]]:
    """All that the site keeps, by name."""
    for path in site.data.rglob("*"):
        if path.is_file() and not path.is_symlink():
            try:
                yield str(path), path.read_bytes()
            except OSError:
                continue  # went meanwhile
    for record in site.records():
        named = "\n".join(f"{name}={value}" for name, value in record.headers.items())
        whole = b"\n".join((record.value, record.key.encode(), named.encode()))
        yield f"{record.topic}/{record.partition}@{record.offset}", whole
    with closing(connect(site.settings.database_url, "test")) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT t::text FROM {table} t")
            for (row,) in cursor.fetchall():
                yield table, row.encode()


def sealed_files(folder: Path) -> list[Sealed]:
    return [
        msgspec.msgpack.decode(path.read_bytes(), type=Sealed)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


def keys_of(site: Site) -> set[bytes]:
    """Everything the site still has that could be a key of 32 bytes."""
    found: set[bytes] = set()
    for path in site.data.rglob("*"):
        if path.is_file() and path.stat().st_size <= 4096:
            content = path.read_bytes()
            found |= {content[n : n + 32] for n in range(max(0, len(content) - 31))}
            for text in KEY.findall(content):
                for decode in (base64.b64decode, base64.urlsafe_b64decode, bytes.fromhex):
                    try:
                        found.add(decode(text.decode())[:32])
                    except ValueError:
                        continue
    return {key for key in found if len(key) == 32}


def opened(sealed: Sealed, keys: set[bytes]) -> list[bytes]:
    """What any of the keys opens of it."""
    found = []
    for key in keys:
        for server_id, wrapped in sealed.keys.items():
            for whole, about in ((wrapped, server_id.encode()), (sealed.content, b"")):
                try:
                    found.append(secret_store._decrypted(key, whole, about))
                except InvalidTag:
                    continue
    return found


def guest_of(site: Site, server_id: str) -> Guest:
    """The server as its host was told of it."""
    codec = Codec()
    for record in site.records():
        if record.topic.startswith("compute.dispatch."):
            work = codec.decode(record.value)
            if isinstance(work, BuildGuest) and work.server_id == server_id:
                return work.guest
    raise AssertionError(f"no host was told of {server_id}")


def test_a_deleted_servers_secrets_are_nowhere(site: Site, tmp_path: Path) -> None:
    store = site.data / "secrets"
    with site.sdk() as cloud:
        lives, goes = boot(cloud, site, "lives"), boot(cloud, site, "goes")
        shutil.copytree(store / "sealed", tmp_path / "stolen")
        assert cloud.compute.get_server(lives.server_id).user_data is not None
        cloud.compute.delete_server(goes.server_id)
        site.until(lambda: cloud.compute.find_server(goes.server_id) is None, "it is gone")
        site.until(lambda: not list(store.glob(f"keys/*/*/{goes.server_id}")), "its key is dropped")
        shown = cloud.compute.get(f"/servers/{lives.server_id}", microversion="2.3").json()
        assert base64.b64decode(shown["server"][USER_DATA]) == lives.data
    for given in (lives, goes):
        forms = given.forms
        for name, content in places(site):
            assert not [form for form in forms if form in content], f"{name} has a secret"
    keys = keys_of(site)
    assert len(keys) > 3
    read = [plain for one in sealed_files(tmp_path / "stolen") for plain in opened(one, keys)]
    assert read, "what lives can be opened with what is left: the search tries the right keys"
    contents = [
        plain for one in sealed_files(tmp_path / "stolen") for plain in opened(one, {*read})
    ]
    assert any(lives.password.encode() in plain for plain in contents)
    assert not any(goes.password.encode() in plain for plain in contents)


def test_a_host_reads_the_secrets_of_its_guests_and_no_others(site: Site) -> None:
    with site.sdk() as cloud:
        lives, goes = boot(cloud, site, "read"), boot(cloud, site, "unread")
        cloud.compute.delete_server(goes.server_id)
        site.until(lambda: cloud.compute.find_server(goes.server_id) is None, "it is gone")
        (host,) = [path for path in (site.data / "instances").iterdir() if path.is_dir()]
        fetch = SecretsFetch(site.settings.url, {host.name: host_key(host)})
        found = fetch(host.name, guest_of(site, lives.server_id))
        assert base64.b64decode(found.user_data or "") == lives.data
        assert found.admin_password == lives.password
        with pytest.raises(DriverError, match="could not be found"):
            fetch(host.name, guest_of(site, goes.server_id))
        stranger = SecretsFetch(site.settings.url, {host.name: host_key(site.data / "stranger")})
        with pytest.raises(DriverError, match="not signed"):
            stranger(host.name, guest_of(site, lives.server_id))
        shutil.rmtree(site.data / "stranger")
        cloud.compute.delete_server(lives.server_id)
