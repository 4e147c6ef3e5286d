"""A whole site for measuring: its own folder and port, simulated hosts that never wait."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from chronova.client import Client
from chronova.credentials import read
from chronova.settings import Settings, load
from chronova.supervisor import ROLES

UP_S = 300
BIG_HOSTS = {
    "CHRONOVA_SIMULATED_VCPUS": "4096",
    "CHRONOVA_SIMULATED_RAM_MIB": "4194304",
    "CHRONOVA_SIMULATED_DISK_GIB": "65536",
}
"""Room for 20,000 servers on ten hosts."""
PORT = 18774


class Site:
    """A running site. ``environment`` is what the openstack clients need."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.password = read(self.settings).admin

    @property
    def settings(self) -> Settings:
        """As the site has them now: a restored one has another password for its broker."""
        return load(str(self.data))

    @property
    def environment(self) -> dict[str, str]:
        """OS_* for the admin."""
        return {
            "OS_AUTH_URL": f"{self.settings.url}/identity/v3",
            "OS_USERNAME": "admin",
            "OS_PASSWORD": self.password,
            "OS_PROJECT_NAME": "admin",
        }

    def client(self, user: str = "admin") -> Client:
        """Logged in as ``admin`` or ``demo``, in the project of that name."""
        client = Client(self.settings.url)
        client.login(user, getattr(read(self.settings), user), user)
        return client

    def unlimited(self) -> None:
        """Take the limits of both projects' quotas away."""
        client = self.client()
        for name in ("admin", "demo"):
            found = client.call("GET", f"/identity/v3/projects?name={name}")["projects"]
            limits = {"instances": -1, "cores": -1, "ram": -1}
            path = f"/compute/v2.1/os-quota-sets/{found[0]['id']}"
            client.call("PUT", path, {"quota_set": limits})

    def boot(self, user: str, count: int) -> None:
        """Boot servers of flavor m1.nano, which takes next to nothing, and wait for them."""
        admin = self.client()
        flavors = admin.call("GET", "/compute/v2.1/flavors?is_public=None")["flavors"]
        if not any(flavor["name"] == "m1.nano" for flavor in flavors):
            nano = {"id": "42", "name": "m1.nano", "vcpus": 1, "ram": 1, "disk": 1}
            admin.call("POST", "/compute/v2.1/flavors", {"flavor": nano})
        client = self.client(user)
        image = client.call("GET", "/image/v2/images?name=demo")["images"][0]["id"]
        for first in range(0, count, 100):
            batch = min(100, count - first)
            server = {"name": "kept", "imageRef": image, "flavorRef": "42", "networks": []}
            server |= {"min_count": batch, "max_count": batch}
            client.call("POST", "/compute/v2.1/servers", {"server": server})
        path = "/compute/v2.1/servers?status=BUILD&limit=1"
        end = time.monotonic() + 300
        while client.call("GET", path)["servers"]:
            if time.monotonic() > end:
                raise SystemExit("the servers were not built within 300 s")
            time.sleep(0.2)

    def processes(self) -> dict[str, psutil.Process]:
        """The roles and the database; the broker is counted apart."""
        files = {name: self.data / "run" / f"{name}.pid" for name in ("supervisor", *ROLES)}
        files["postgres"] = self.data / "postgres" / "cluster" / "postmaster.pid"
        return {
            name: psutil.Process(int(file.read_text().split("\n", 1)[0]))
            for name, file in files.items()
        }

    def pid_folder(self) -> Path:
        """Pid files for the measuring client. It counts descendants too, and all roles descend
        from the supervisor, so that is left out here and its own memory added by ``memory``."""
        folder = self.data / "bench-pids"
        folder.mkdir(exist_ok=True)
        for name in ROLES:
            shutil.copy(self.data / "run" / f"{name}.pid", folder / f"{name}.pid")
        (folder / "postgres.pid").write_text(f"{self.processes()['postgres'].pid}\n")
        return folder

    def memory(self) -> tuple[float, float]:
        """RSS and PSS (shared pages split among their users) of everything but the broker, MiB."""
        seen: dict[int, psutil.Process] = {}
        for process in self.processes().values():
            for one in (process, *process.children(recursive=True)):
                seen[one.pid] = one
        rss = pss = 0
        for one in seen.values():
            with suppress(psutil.NoSuchProcess):  # the database's workers come and go
                memory = one.memory_full_info()
                rss, pss = rss + memory.rss, pss + memory.pss
        return rss / 2**20, pss / 2**20

    def chronova(self, *arguments: str) -> str:
        """Run the CLI against this site; its output."""
        return _chronova(self.data, *arguments)


@contextmanager
def site(
    log: str,
    hosts: int = 10,
    port: int = PORT,
    keep: bool = False,
    folder: Path | None = None,
    settings: Mapping[str, str] = BIG_HOSTS,
) -> Iterator[Site]:
    """A site that is up, and gone afterwards. It lies in ``folder``, or with temporary files."""
    data = Path(tempfile.mkdtemp(prefix=f"chronova-bench-{log}-", dir=folder))
    try:
        _chronova(
            data,
            *("up", "--log", log, "--driver", "simulated"),
            *("--hosts", str(hosts), "--port", str(port)),
            environment={**os.environ, **settings},
        )
        yield Site(data)
    finally:
        _chronova(data, "down" if keep else "reset")


def _chronova(data: Path, *arguments: str, environment: Mapping[str, str] = os.environ) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "chronova", "--data", str(data), *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=UP_S,
        env=dict(environment),
    )
    if done.returncode:
        raise SystemExit(f"chronova {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def run_json(command: list[str], environment: Mapping[str, str], out: Path) -> dict[str, object]:
    """Run a command that writes a JSON object to ``out``; the object."""
    done = subprocess.run(
        command,
        check=False,
        stdout=subprocess.DEVNULL,
        timeout=1800,
        env={**os.environ, **environment},
    )
    if not out.exists():
        raise SystemExit(f"{command[1]} ended with {done.returncode} and no figures")
    figures: dict[str, object] = json.loads(out.read_text())
    return figures
