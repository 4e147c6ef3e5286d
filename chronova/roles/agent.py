"""The agent role: serves the compute hosts of this machine.

One host with libvirt, or any number of simulated ones. The main thread performs work and
reports; a second one keeps up the hosts' presence (heartbeats, inventory, power states). When one
of them dies the process ends.
"""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Mapping

import structlog

from chronova import __version__, observing
from chronova.connections import image_key, open_site_log
from chronova.fetching import LinkFetch
from chronova.host_keys import HostKey, host_key
from chronova.membership import announce
from chronova.metrics.meters import AgentMeters
from chronova.pinned_log import pin
from chronova.report_keys import HostReportKeys
from chronova.secrets_fetch import SecretsFetch
from chronova.settings import Settings, SettingsError
from chronova.stopping import Stop
from chronova.watched import Watched
from events.features import PROCESS
from events.host_proof import HostProofs
from events.log.contract import LogError
from events.topics import HOST
from handlers.compute.agent import Agent, run
from handlers.compute.drivers.contract import Driver, DriverError
from handlers.compute.presence import Identity, Presence
from handlers.decider import wall_clock
from handlers.performer.bookmark import KeptInFile
from handlers.performer.witness import LogWentBack, Witness

INVENTORY_EVERY_S = 60

BOOKMARK = "agent.bookmark"
"""Name of the file in the first host's folder that says how far the agent has read."""

WITNESS = "agent.written"
"""Name of the file beside it that says where in the log lies what the agent wrote last."""

_HOSTS = uuid.UUID("5b6bd9a1-8f0c-4b0e-9d0e-6b1a1f8f7c11")
"""Namespace of the ids of simulated hosts."""

logger = structlog.get_logger("agent")


def host_names(settings: Settings) -> list[str]:
    """The hosts that this machine's agent serves. Raises ``SettingsError``."""
    base = settings.host_name or socket.gethostname()
    if not HOST.fullmatch(base):
        raise SettingsError(f"settings: host_name: only A-Z a-z 0-9 . _ -, at most 200: {base!r}")
    if settings.driver == "libvirt" or settings.hosts == 1:
        return [base]
    return [f"{base}-{number}" for number in range(1, settings.hosts + 1)]


def identity_of(settings: Settings, host: str, key: HostKey) -> Identity:
    """The host's ids: kept in a file beside its guests, so that they outlive everything."""
    if settings.driver == "simulated":
        node_id = str(uuid.uuid5(_HOSTS, host))
        return Identity(node_id, str(uuid.uuid5(_HOSTS, f"{host}/service")), key.public)
    path = settings.data_path / "instances" / host / "compute_id"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{uuid.uuid4()}\n{uuid.uuid4()}\n")
    node_id, service_id = path.read_text().split()
    return Identity(node_id, service_id, key.public)


def driver_of(settings: Settings, host: str) -> Driver:
    """The driver of one host."""
    folder = settings.data_path / "instances" / host
    folder.mkdir(parents=True, exist_ok=True)
    if settings.driver == "simulated":
        from handlers.compute.drivers.simulated import SimulatedDriver, simulated_resources
        from handlers.compute.drivers.simulated_faults import Fault

        return SimulatedDriver(
            host,
            simulated_resources(
                host,
                settings.simulated_vcpus,
                settings.simulated_ram_mib,
                settings.simulated_disk_gib,
            ),
            delays=settings.simulated_delays,
            faults=[
                Fault(
                    step=fault.step,
                    server_name=fault.server_name,
                    nth=fault.nth,
                    error=DriverError(fault.reason),
                )
                for fault in settings.simulated_faults
            ],
            state_path=folder / "guests.state",
        )
    from handlers.compute.drivers.domain_host import domain_host
    from handlers.compute.drivers.host_lock import lock_host
    from handlers.compute.drivers.libvirt_driver import LibvirtDriver
    from handlers.compute.drivers.libvirt_probe import boots
    from handlers.compute.drivers.probe import choose_virt_type

    lock_host(folder / "agent.lock", host)  # until this process ends
    uri, folder = settings.libvirt_uri, folder.resolve()
    probed = domain_host(f"{host}: probe", "kvm", folder)
    kind = choose_virt_type(settings.virt_type, lambda: boots(uri, probed, folder))
    return LibvirtDriver(host, folder, uri, kind)


def serve(settings: Settings) -> None:
    """Run until SIGTERM; what is under way is finished and reported first."""
    stop = Stop()
    store = observing.begin(settings, "agent")
    log = observing.measured(open_site_log(settings), store, "agent")
    hosts = {name: driver_of(settings, name) for name in host_names(settings)}
    name = next(iter(hosts))
    keys = {host: host_key(settings.data_path / "instances" / host) for host in hosts}
    identities = {host: identity_of(settings, host, keys[host]) for host in hosts}
    identity = log.identity()
    for host, driver in hosts.items():
        pin(settings.data_path / "instances" / host, host, identity, driver)
    kept = settings.data_path / "instances" / name
    witness = Witness(log, KeptInFile(kept / WITNESS), wall_clock)
    report_keys = HostReportKeys(
        settings.url, keys, lambda host: settings.data_path / "instances" / host
    )
    proofs = HostProofs(keys, report_keys.known)
    presence = Presence(
        witness,
        name,
        hosts,
        identities,
        clock=wall_clock,
        new_id=lambda: str(uuid.uuid4()),
        version=__version__,
        proofs=proofs,
    )
    anew = _went_back(witness, stop)
    if anew is None or not report_keys.obtain(lambda: _register(presence, stop), stop.wait):
        log.close()
        return
    announce(presence.beat)
    fetch = LinkFetch(settings.url, image_key(settings))
    agent = Agent(
        log,
        name,
        hosts,
        fetch,
        threads=_threads(settings),
        clock=wall_clock,
        pause=stop.wait,
        keeper=KeptInFile(kept / BOOKMARK),
        watcher=AgentMeters(store),
        node_ids={host: one.node_id for host, one in identities.items()},
        appender=witness,
        anew=anew,
        secrets_of=SecretsFetch(settings.url, keys),
        proofs=proofs,
    )
    stop.on_stop(agent.wake)
    keeper = Watched("presence", lambda: _keep_up(settings, presence, agent, stop), agent.wake)
    cleaner = Watched("image-cache", lambda: _remove_unused(settings, hosts, stop), agent.wake)

    def stopped() -> bool:
        keeper.check()
        cleaner.check()
        return stop.is_set()

    keeper.start()
    cleaner.start()
    try:
        run(agent, stopped, stop.wait)
    finally:
        stop.set()
        agent.close()
        keeper.join(5)
        cleaner.join(5)
        _say_goodbye(presence)
        witness.save()
        log.close()


def _went_back(witness: Witness, stop: Stop) -> bool | None:
    """Whether the log lost what this agent's hosts wrote; waits for a log that is away. None when
    stopped meanwhile: nothing may be written then, it would pass for evidence."""
    while not stop.is_set():
        try:
            return witness.went_back()
        except LogError as error:
            logger.warning("log_away", reason=str(error))
            stop.wait(0.5)
    return None


def _register(presence: Presence, stop: Stop) -> None:
    """Register the hosts, with no proof but their own keys, before anything else is written. Raises
    ``TooOld``: this version may write nothing."""
    while not stop.is_set():
        try:
            PROCESS.check()
            return presence.register()
        except (LogError, DriverError) as error:
            logger.warning("presence", reason=str(error))
            stop.wait(1.0)


def _say_goodbye(presence: Presence) -> None:
    try:
        presence.end()
    except (LogError, LogWentBack) as error:
        logger.warning("goodbye_not_said", reason=str(error))


def _threads(settings: Settings) -> int:
    """A simulated host that never waits needs no threads: each piece is done at once."""
    instant = settings.driver == "simulated" and not settings.simulated_delays
    return 0 if instant else settings.agent_threads


def _remove_unused(settings: Settings, hosts: Mapping[str, Driver], stop: Stop) -> None:
    """Keep the image caches small. Apart from the heartbeats, which large files would delay."""
    while not stop.wait(settings.image_cache_interval_s):
        for host, driver in hosts.items():
            try:
                removed = driver.remove_unused(settings.image_cache_age_s)
            except DriverError as error:
                logger.warning("image_cache", host=host, reason=str(error))
            else:
                if removed:
                    logger.info("image_cache_removed", host=host, names=removed)


def _keep_up(settings: Settings, presence: Presence, agent: Agent, stop: Stop) -> None:
    registered = False
    inventory = power = time.monotonic()
    power -= settings.power_sync_interval_s
    while not stop.is_set():
        try:
            if not registered:
                presence.register()
                registered = True
            now = time.monotonic()
            if now - inventory < INVENTORY_EVERY_S:
                presence.beat()
            else:
                inventory = now
                announce(presence.beat)
                presence.report_changes()
            if now - power >= settings.power_sync_interval_s:
                power = now
                agent.sync_power()
        except (LogError, DriverError) as error:
            logger.warning("presence", reason=str(error))
        stop.wait(settings.report_interval_s if registered else 1.0)
