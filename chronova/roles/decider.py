"""The decider role: decides the commands of its domains; watches hosts' heartbeats."""

from __future__ import annotations

import socket
import threading

import msgspec
import structlog

from chronova import __version__, observing
from chronova.connections import check_proofs, open_site_log
from chronova.domains import load_handlers
from chronova.membership import Membership
from chronova.metrics.meters import DeciderMeters, ProofMeters
from chronova.settings import Settings, SettingsError
from chronova.stopping import Stop
from chronova.watched import Watched
from commands.fleet.policy import Policy
from events.fleet.heartbeat import CONDUCTOR
from events.log.contract import Log
from events.log.records import Codec
from handlers.decider import Decider, run
from handlers.decider.budget import Alarm
from handlers.decider.watcher import Watcher
from handlers.scheduler import BadPlugin, LivenessMonitor, load_plugins

MONITOR_ENDS_S = 3.0

logger = structlog.get_logger("decider")


def serve(settings: Settings) -> None:
    """Run until SIGTERM; partitions are handed over at once."""
    load_handlers()
    _enable_judges(settings)
    stop = Stop()
    store = observing.begin(settings, "decider")
    log = observing.measured(open_site_log(settings), store, "decider")
    check_proofs(settings, ProofMeters(store).refused)
    member = Membership(log, CONDUCTOR, settings.report_interval_s)
    member.enter(stop.wait)
    meters = DeciderMeters(store)
    decider = decider_of(settings, log, meters)
    stop.on_stop(decider.wake)
    failed: list[Exception] = []
    monitor: threading.Thread | None = None
    if "fleet" in settings.domains:
        monitor = _monitor(settings, log, decider, stop, failed)

    member.troubles = lambda: counted_troubles(decider, meters)
    beats = Watched("heartbeat", lambda: member.keep(stop.wait), decider.wake)

    def stopped() -> bool:
        beats.check()
        return stop.is_set()

    beats.start()
    try:
        run(decider, stopped, stop.wait)
    finally:
        stop.set()
        decider.close()
        beats.join(MONITOR_ENDS_S)
        if monitor is not None:
            monitor.join(MONITOR_ENDS_S)
        member.leave()
        log.close()
    if failed:
        raise failed[0]


def decider_of(settings: Settings, log: Log, watcher: Watcher) -> Decider:
    """Make the decider of a process, to be run by its main thread."""
    return Decider(
        log,
        settings.domains,
        snapshots=settings.data_path / "snapshots",
        watcher=watcher,
        budget=Alarm(settings.decision_budget_s),
    )


def counted_troubles(decider: Decider, meters: DeciderMeters) -> list[str]:
    """Return what waits, for the heartbeat; metrics count the same."""
    found = decider.troubles()
    meters.waiting(len(found), decider.unfolded())
    return found


def _enable_judges(settings: Settings) -> None:
    try:
        load_plugins(msgspec.convert(settings.scheduler, Policy))
    except (BadPlugin, ValueError) as error:
        raise SettingsError(f"settings: scheduler: {error}") from error


def _monitor(
    settings: Settings, log: Log, decider: Decider, stop: Stop, failed: list[Exception]
) -> threading.Thread:
    """Watch heartbeats in a thread of its own. A defect there ends the process: it would go on
    deciding, and no host would ever be found silent."""
    monitor = LivenessMonitor(
        log,
        Codec(),
        lambda: decider.states("fleet", 0, "host"),
        name=socket.gethostname(),
        version=__version__,
        service_down_time_s=settings.service_down_time_s,
        report_interval_s=settings.report_interval_s,
    )

    def watch() -> None:
        try:
            monitor.run(stop)
        except Exception as error:  # noqa: BLE001 - raised by the main thread, which it ends
            failed.append(error)
            stop.set()
            decider.wake()

    thread = threading.Thread(target=watch, name="liveness", daemon=True)
    thread.start()
    return thread
