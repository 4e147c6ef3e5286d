"""The settings of a site: one documented file and the environment, checked at start.

``<data>/chronova.toml`` (written by ``chronova up``; edit it or write your own) holds the fields
of ``Settings`` by name; ``CHRONOVA_<FIELD>`` in the environment wins over it. ``docs/settings.md``
lists them all. A mistake is one sentence and exit code 2, before anything is started.
"""

from __future__ import annotations

import os
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from chronova.embedded import addresses
from chronova.embedded.addresses import EMBEDDED
from events.topics import DOMAINS

PREFIX = "CHRONOVA_"

Positive = Annotated[int, msgspec.Meta(ge=1)]
Rate = Annotated[str, msgspec.Meta(pattern=r"^([1-9][0-9]{0,8}/(second|minute|hour|day))?$")]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class SettingsError(Exception):
    """A setting is missing, unknown or out of range; the text says which, and what would do."""


class NoSite(SettingsError):
    """A folder in which no site was made, and settings that name none."""

    def __init__(self, data: str) -> None:
        super().__init__(
            f"There is no site in {data}: `make up` first, or name its folder with --data or"
            " CHRONOVA_DATA."
        )


class SimulatedFault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step of the simulated driver that fails: for servers whose name matches, at the nth
    matching call only (none: at each), with this sentence as the fault."""

    step: str
    server_name: str = "*"
    nth: int | None = None
    reason: str = "The simulated host was told to fail here."


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings. Durations in seconds, sizes as named."""

    data: str = ".chronova"
    """Folder of everything this site keeps on this machine."""
    log: str = ""
    """The log: kafka://host:port[,host:port], postgresql://…, or ``embedded``: a development broker
    in the data folder. Empty: in ``database``."""
    log_options: dict[str, Any] = {}
    """Passed to kafka-python as they are: security_protocol, sasl_mechanism, ssl_cafile …"""
    replication_factor: Positive = 1
    """Of the topics that ``chronova topics create`` makes; 3 where there are three brokers."""
    partitions: Positive = 12
    """Of each topic but the fleet's. Fixed once the topics are made."""
    database: str = ""
    """Postgres of the projections: postgresql://…, or ``embedded``: one in the data folder."""
    domains: list[str] = msgspec.field(default_factory=lambda: list(DOMAINS))
    """Which domains the decider of this machine decides."""
    bind: str = "127.0.0.1"
    """Address the API listens on. Loopback unless told otherwise."""
    port: Port = 8774
    """Port of all services of the API."""
    public_url: str = ""
    """Where clients reach the API. Empty: http://<bind>:<port>."""
    region: str = "RegionOne"
    """Name of the region in the catalog."""
    api_workers: Positive = 2
    """Processes of the API. Each has room for 1000 connections; from 900 on one is closed for each
    that comes, of the address that has most."""
    api_threads: Positive = 16
    """Reads, and writes, that each of them works on at once. Logins and changes of users,
    searches by expression, uploads, downloads, hosts' fetches and health have threads beside; a
    user has three quarters of each, and so has an address where no token is needed."""
    api_in_flight_max: Positive = 256
    """Requests that wait for a thread of one kind, and commands under way, in one API worker;
    beyond it: 503 with Retry-After."""
    rate_requests_address: Rate = "4000/second"
    """Requests of one address (IPv6: of one /64); beyond it: 429. Empty: no limit, as behind a
    proxy, which is one address."""
    rate_writes_project: Rate = "1000/second"
    """Requests of one project that may change something; beyond it: 429. Empty: no limit."""
    rate_refusals_project: Rate = "600/minute"
    """Refused commands of one project, each of which is recorded; beyond it its writes are answered
    429. Empty: no limit."""
    rate_secrets_host: Rate = "120/minute"
    """Requests of one host to read secrets of its guests; beyond it: 429, and the host tries again.
    Empty: no limit."""
    image_gib_max: Positive = 1024
    """The largest image that can be uploaded (image_size_cap); beyond it: 413."""
    image_project_gib_max: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Data of all images of one project, staged ones too (user_storage_quota); beyond it: 413.
    0: no limit."""
    image_room_kept_mib: Annotated[int, msgspec.Meta(ge=0)] = 1024
    """What uploads leave free of the disk that images are stored on; beyond it: 413."""
    refusals_retention_s: Positive = 2_592_000
    """How long the log keeps refused commands; `chronova topics create` applies a change."""
    token_ttl_s: Positive = 3600
    """How long a token is valid."""
    decision_timeout_s: Positive = 15
    """How long the API waits for a decision before 503."""
    decision_budget_s: Annotated[float, msgspec.Meta(ge=0.1, le=4)] = 3.0
    """How long one decision may take; beyond it its command fails, as by a defect. A decider that
    is busy for 6 s would lose its partitions."""
    driver: Literal["libvirt", "simulated"] = "simulated"
    """What runs the guests of this machine's hosts."""
    hosts: Positive = 1
    """Compute hosts served by this machine's agent; more than one only with simulated."""
    host_name: str = ""
    """Name of the compute host; with several a number is added. Empty: this machine's."""
    libvirt_uri: str = "qemu:///system"
    """Which libvirtd."""
    virt_type: Literal["auto", "qemu", "kvm"] = "auto"
    """Kind of the domains. auto: kvm where a guest defined as all are runs with it, else qemu."""
    simulated_delays: dict[str, float] = {}
    """Seconds that each step of the simulated driver takes, by step."""
    simulated_faults: list[SimulatedFault] = []
    """What fails on simulated hosts: [{"step": "ensure_disks", "server_name": "bad*"}]."""
    simulated_vcpus: Positive = 64
    """CPUs of each simulated host."""
    simulated_ram_mib: Positive = 262_144
    """Memory of each simulated host."""
    simulated_disk_gib: Positive = 4096
    """Disk of each simulated host."""
    agent_threads: Annotated[int, msgspec.Meta(ge=0)] = 10
    """Servers that an agent works on at once (max_concurrent_builds)."""
    power_sync_interval_s: Positive = 600
    """How often an agent reports its guests' power states (sync_power_state_interval)."""
    image_cache_interval_s: Positive = 2400
    """How often a host looks for cached images that no guest uses (manager_interval)."""
    image_cache_age_s: Positive = 86_400
    """After how long without use they are removed (remove_unused_original_minimum_age_seconds)."""
    report_interval_s: Positive = 10
    """How often a host gives a sign of life (report_interval)."""
    service_down_time_s: Positive = 60
    """After how long without one it counts as down (service_down_time)."""
    scheduler: dict[str, Any] = {}
    """Options of Nova's [filter_scheduler] that differ: enabled_filters, multipliers …"""
    slow_request_s: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    """From how many seconds on the API's log tells of a request, as it does of each that failed."""
    log_file_mib: Positive = 32
    """Size beyond which a log file of this machine's processes is cut."""
    log_files_kept: Annotated[int, msgspec.Meta(ge=0)] = 3
    """Older log files that are kept beside each."""
    metrics_port: Annotated[int, msgspec.Meta(ge=0, le=65533)] = 0
    """Port of the decider's Prometheus endpoint; the projector's and the agent's are the two after
    it. For machines without an API, whose /metrics shows all roles of its machine. 0: none."""

    @property
    def data_path(self) -> Path:
        """``data`` as an absolute path."""
        return Path(self.data).resolve()

    @property
    def url(self) -> str:
        """Where clients reach the API, without a slash at the end."""
        return (self.public_url or f"http://{self.bind}:{self.port}").rstrip("/")

    @property
    def database_url(self) -> str:
        """The address of the projections' Postgres; empty: none is set."""
        if self.database == EMBEDDED:
            return addresses.postgres_url(addresses.postgres_folder(self.data_path))
        return self.database

    @property
    def log_url(self) -> str:
        """The log's address; empty: none is set. Raises ``SettingsError`` for an embedded broker
        that was never started."""
        if self.log != EMBEDDED:
            return self.log or self.database_url
        address = addresses.broker_address(addresses.broker_folder(self.data_path))
        if not address:
            raise SettingsError(f"the broker of {self.data} was never started: `chronova up`")
        return f"kafka://{address}"

    @property
    def on_kafka(self) -> bool:
        """Whether the log is Kafka's."""
        return self.log == EMBEDDED or self.log.startswith("kafka:")


def file_of(data: str) -> Path:
    """Where a site's settings lie."""
    return Path(data) / "chronova.toml"


def load(data: str, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of the site in folder ``data``. Raises ``SettingsError``."""
    raw: dict[str, Any] = {}
    path = file_of(data)
    if path.exists():
        try:
            raw = tomllib.loads(path.read_text())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise SettingsError(f"{path}: {error}") from error
    raw |= _from_environment(environment)
    raw["data"] = data
    return checked(raw)


def of_site(data: str, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of the site in folder ``data``, which must be there, in its file or in the
    environment. Raises ``NoSite`` and ``SettingsError``."""
    settings = load(data, environment)
    if not (settings.log or settings.database):
        raise NoSite(data)
    return settings


def checked(raw: dict[str, Any]) -> Settings:
    """Settings from plain values. Raises ``SettingsError`` with one sentence."""
    try:
        settings = msgspec.convert(raw, Settings, strict=False)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        name = where.strip("`.")
        raise SettingsError(
            f"settings: {name}{': ' if name else ''}{what.replace('`', '')}"
        ) from error
    if settings.hosts > 1 and settings.driver != "simulated":
        raise SettingsError("settings: more than one host needs the simulated driver")
    if unknown := [domain for domain in settings.domains if domain not in DOMAINS]:
        raise SettingsError(
            f"settings: domains: there is no domain {unknown[0]!r}: {', '.join(DOMAINS)}"
        )
    for name, value, schemes in (
        ("log", settings.log, ("postgres", "postgresql", "kafka")),
        ("database", settings.database, ("postgres", "postgresql")),
    ):
        if value not in ("", EMBEDDED) and value.partition("://")[0] not in schemes:
            raise SettingsError(
                f"settings: {name} begins with none of {', '.join(schemes)}, and is not {EMBEDDED}"
            )
    return settings


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        text = environment.get(PREFIX + field.name.upper())
        if text is None or field.name == "data":
            continue
        if typing.get_origin(field.type) in (dict, list):
            try:
                found[field.name] = msgspec.json.decode(text)
            except msgspec.DecodeError:
                raise SettingsError(f"{PREFIX}{field.name.upper()} is not JSON") from None
        else:
            found[field.name] = text
    return found


def write(settings: Settings) -> None:
    """Write the site's file; only what differs from the defaults."""
    defaults = Settings()
    lines = ["# Settings of this Chronova site; docs/settings.md explains them."]
    for field in msgspec.structs.fields(Settings):
        value = getattr(settings, field.name)
        if field.name != "data" and value != getattr(defaults, field.name):
            lines.append(f"{field.name} = {_toml(value)}")
    path = file_of(settings.data)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_toml(item) for item in value)}]"
    if isinstance(value, msgspec.Struct):
        value = {k: v for k, v in msgspec.structs.asdict(value).items() if v is not None}
    if isinstance(value, dict):
        inner = ", ".join(
            f"{msgspec.json.encode(k).decode()} = {_toml(v)}" for k, v in value.items()
        )
        return f"{{ {inner} }}"
    return msgspec.json.encode(value).decode()
