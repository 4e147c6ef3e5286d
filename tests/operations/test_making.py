"""What ``chronova up`` is for a site's whole life: it brings up, and never goes back in time."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from api.health.pulse import FRESH_S
from chronova.client import Client, ClientError
from chronova.credentials import Credentials
from chronova.embedded.postgres import EmbeddedPostgres
from chronova.processes import pid_file, running
from events.log.contract import Record
from tests.operations.every_route import Stock, ask_all
from tests.parts.site import SDK_WARNS_OF_ITSELF, Site, free_port, site

pytestmark = SDK_WARNS_OF_ITSELF


@pytest.fixture(scope="module", params=["postgres", "kafka"])
def own(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site of these tests' own: they change what it begins with. Its folder has a space, and the
    one above is closed to the user of the embedded Postgres."""
    with site(request.param, folder="of a site", closed=True) as running:
        yield running


def client(site: Site, password: str, user: str = "admin") -> Client:
    made = Client(site.settings.url)
    made.login(user, password, user)
    return made


def up(site: Site, *options: str, code: int = 0) -> str:
    return site.chronova("up", *options, code=code).out


def test_what_the_operator_changed_stays(own: Site) -> None:
    old = own.passwords
    admin = client(own, old.admin)
    users = admin.call("GET", "/identity/v3/users?name=admin")["users"]
    path = f"/identity/v3/users/{users[0]['id']}"
    admin.call("DELETE", "/compute/v2.1/flavors/5")
    image = admin.call("GET", "/image/v2/images?name=demo")["images"][0]["id"]
    admin.call("DELETE", f"/image/v2/images/{image}")
    changed = {"original_password": old.admin, "password": "rotated-by-hand"}
    admin.call("POST", f"{path}/password", {"user": changed})

    said = up(own)
    assert "Chronova is up." in said
    assert "reset-password" in said
    with pytest.raises(ClientError, match="401"):
        client(own, old.admin)
    admin = client(own, "rotated-by-hand")
    flavors = admin.call("GET", "/compute/v2.1/flavors")["flavors"]
    assert "5" not in {flavor["id"] for flavor in flavors}
    assert admin.call("GET", "/image/v2/images?name=demo")["images"] == []

    admin.call("PATCH", path, {"user": {"enabled": False}})
    up(own)
    with pytest.raises(ClientError, match="401"):
        client(own, "rotated-by-hand")

    own.chronova("admin", "reset-password")
    new = own.passwords
    assert new.admin not in (old.admin, "rotated-by-hand")
    assert new.demo == old.demo
    client(own, new.admin).call("GET", "/identity/v3/users")
    assert "reset-password" not in up(own)


def processes(data: Path) -> list[str]:
    """The supervisor and the roles of a folder, without gunicorn's workers."""
    lines = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if f"--data {data}" in line and "worker" not in line:
            lines.append(line)
    return lines


def test_it_comes_up_at_once_after_everything_was_killed(own: Site) -> None:
    database = EmbeddedPostgres(own.data / "postgres")
    victims = [running(own.data, name) for name in ("supervisor", "decider", "projector")]
    victims += [psutil.Process(database.pid)] if database.pid is not None else []
    for victim in victims:
        assert victim is not None
        victim.kill()
    psutil.wait_procs([victim for victim in victims if victim is not None], 10)
    assert "Chronova is up." in up(own)


def ill_for(site: Site, seconds: float) -> Callable[[], bool]:
    """Whether the site was never healthy for that long: each of the API's processes may still go
    by the last answer that it saw itself."""
    healthy_at = time.monotonic()

    def ill() -> bool:
        nonlocal healthy_at
        if site.healthy:
            healthy_at = time.monotonic()
        return time.monotonic() - healthy_at > seconds

    return ill


def test_up_is_said_only_when_it_is(own: Site) -> None:
    decider = running(own.data, "decider")
    assert decider is not None
    decider.send_signal(signal.SIGSTOP)
    try:
        own.until(ill_for(own, FRESH_S + 1), "all of the API's processes see the frozen decider")
        with subprocess.Popen([*own.command, "up"], stdout=subprocess.PIPE, text=True) as waiting:
            with pytest.raises(subprocess.TimeoutExpired):
                waiting.communicate(timeout=8)
            decider.send_signal(signal.SIGCONT)
            said, _ = waiting.communicate(timeout=60)
    finally:
        decider.send_signal(signal.SIGCONT)
    assert "Chronova is up." in said


def test_numbers_of_another_site_end_nobody(own: Site) -> None:
    """After the machine was started again a pid file may name another site's process."""
    stranger = own.data.parent / "another"
    (stranger / "run").mkdir(parents=True)
    for name in ("supervisor", "decider", "projector", "agent", "api"):
        shutil.copy(pid_file(own.data, name), pid_file(stranger, name))
    own.chronova("--data", str(stranger), "down")
    assert len(processes(own.data)) == 5
    shutil.rmtree(stranger)


def test_a_copy_is_a_site_of_its_own(own: Site) -> None:
    copy, passwords = own.data.parent / "copy", own.passwords
    subprocess.run(["cp", "-a", str(own.data), str(copy)], check=True, timeout=60)
    other = Site(copy, own.environment())
    try:
        up(other, "--port", str(free_port()))
        make(other, passwords, "of-the-copy")
        assert "of-the-copy" not in names(own, passwords)
        other.chronova("down")
        assert own.healthy
    finally:
        other.chronova("reset")


def test_a_moved_one_goes_on_and_several_at_once_start_one(own: Site) -> None:
    moved, passwords = own.data.parent / "moved", own.passwords
    own.chronova("down")
    assert processes(own.data) == []
    own.data.rename(moved)
    try:
        other = Site(moved, own.environment())
        with ThreadPoolExecutor(3) as threads:
            said = list(threads.map(lambda _: up(other), range(3)))
        assert all("Chronova is up." in each for each in said)
        assert len(processes(moved)) == 5
        assert "m1.tiny" in names(other, passwords)
        other.chronova("down")
        assert processes(moved) == []
    finally:
        moved.rename(own.data)
    up(own)


def make(site: Site, passwords: Credentials, name: str) -> None:
    body = {"flavor": {"name": name, "ram": 1, "vcpus": 1, "disk": 0}}
    client(site, passwords.admin).call("POST", "/compute/v2.1/flavors", body)


def names(site: Site, passwords: Credentials) -> set[str]:
    found = client(site, passwords.admin).call("GET", "/compute/v2.1/flavors")["flavors"]
    return {flavor["name"] for flavor in found}


def test_a_second_folder_on_its_database_is_refused(own: Site) -> None:
    stranger = own.data.parent / "another"
    passwords = own.passwords
    options = ("--database", own.settings.database_url, "--port", str(free_port()))
    refused = own.chronova("--data", str(stranger), "up", *options, code=1)
    assert "belong" in refused.error or "another site" in refused.error
    client(own, passwords.admin)
    assert own.healthy
    own.chronova("--data", str(stranger), "reset")


def test_strangers_get_in_nowhere(own: Site) -> None:
    findings = own.chronova("doctor", "--json").json["findings"]
    verdicts = {finding["check"]: finding["verdict"] for finding in findings}
    wanted = ["modes", "owners", "listeners", "secrets"]
    wanted += ["broker's password"] if own.settings.on_kafka else []
    assert {name: verdicts.get(name) for name in wanted} == dict.fromkeys(wanted, "ok")
    passed_over = own.data / "instances"
    for path in own.data.rglob("*"):
        if not path.is_relative_to(passed_over) and not path.is_socket():
            assert path.lstat().st_mode & 0o007 == 0, path


def test_what_is_refused_ends_nothing(own: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])
        assert "listens on" in own.chronova("up", "--port", taken, code=1).error
    assert "hosts: Expected int >= 1" in own.chronova("up", "--hosts", "0", code=2).error
    if not own.settings.on_kafka:
        database = "postgresql://nobody@127.0.0.1:1/none"
        own.chronova("up", "--database", database, code=1)
    assert own.healthy
    assert len(processes(own.data)) == 5


def test_nothing_above_its_folder_is_opened(own: Site) -> None:
    """It came up there, and what came before brought it down and up again."""
    assert own.healthy
    assert own.data.parent.stat().st_mode & 0o777 == 0o700
    assert own.data.stat().st_mode & 0o007 == 0


def events(site: Site) -> dict[tuple[str, int, int], Record]:
    """All of the truth, by topic, partition and offset."""
    records = site.records()
    return {(*r.source, r.offset): r for r in records if r.topic.endswith(".events")}


REMOVED = {
    "/compute/v2.1/flavors/{flavor_id}",
    "/compute/v2.1/os-aggregates/{aggregate}",
    "/compute/v2.1/os-keypairs/{key_pair_name}",
    "/compute/v2.1/servers/{server_id}",
    "/identity/v3/groups/{group_id}",
    "/identity/v3/projects/{project_id}",
    "/identity/v3/roles/{role_id}",
    "/identity/v3/users/{user_id}",
    "/identity/v3/users/{user_id}/application_credentials/{credential_id}",
    "/image/v2/images/{image_id}",
}
"""What the admin can remove; each of them has happened, and so has its end."""


def test_no_call_of_an_admin_changes_or_removes_what_has_happened(
    own: Site, tmp_path: Path
) -> None:
    """Each route is called. What it did is more events, in the admin's name; those of before are
    byte for byte what they were. The last of these tests: it removes what there is."""
    own.chronova("admin", "reset-password")
    admin = client(own, own.passwords.admin)
    stock = Stock(admin)
    stock.token = client(own, own.passwords.admin).token
    own.until(lambda: is_active(admin, stock.ours["server_id"]), "the server runs")
    before = events(own)

    answers = list(ask_all(own.settings.url, admin, stock, tmp_path))
    after = events(own)
    assert {place: after.get(place) for place in before} == before
    done = {route: answer for route, answer in answers if answer.status < 300}
    assert {route.path for route in done if route.method == "DELETE"} >= REMOVED
    more = [after[place] for place in after.keys() - before.keys()]
    told = {r.headers.get("ce_requestid"): r.headers.get("ce_actoruser") for r in more}
    named = {
        route.path: told.get(answer.request_id)
        for route, answer in done.items()
        if route.method == "DELETE" and route.path in REMOVED
    }
    assert named == dict.fromkeys(REMOVED, stock.me)
    ill = [route.name for route, answer in answers if answer.status in (401, 500)]
    assert ill == ["POST /identity/v3/users/{user_id}/password"], "the old one is asked for"
    assert own.chronova("log", "verify", "--json").json["sound"]


def is_active(admin: Client, id: str) -> bool:
    shown = admin.call("GET", f"/compute/v2.1/servers/{id}")["server"]
    return bool(shown["status"] == "ACTIVE")
