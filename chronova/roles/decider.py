"""The decider role: decides the commands of its domains; watches hosts' heartbeats."""

from __future__ import annotations

import socket
import threading
import uuid

import msgspec
import structlog

from chronova import __version__, observing
from chronova.connections import open_site_log
from chronova.domains import load_handlers
from chronova.metrics.meters import DeciderMeters
from chronova.settings import Settings, SettingsError
from chronova.stopping import Stop
from chronova.watched import Watched
from commands.fleet.policy import Policy
from events.fleet.heartbeat import CONDUCTOR, Heartbeat
from events.log.contract import Log, LogError
from events.log.records import Codec
from handlers.decider import Decider, run, wall_clock
from handlers.heartbeat import heartbeat_record
from handlers.scheduler import BadPlugin, LivenessMonitor, load_plugins

MONITOR_ENDS_S = 3.0
TROUBLE_CHARS_MAX = 500

logger = structlog.get_logger("decider")


def serve(settings: Settings) -> None:
    """Run until SIGTERM; partitions are handed over at once."""
    load_handlers()
    _enable_judges(settings)
    stop = Stop()
    store = observing.begin(settings, "decider")
    log = observing.measured(open_site_log(settings), store, "decider")
    decider = Decider(
        log,
        settings.domains,
        snapshots=settings.data_path / "snapshots",
        watcher=DeciderMeters(store),
    )
    stop.on_stop(decider.wake)
    failed: list[Exception] = []
    monitor: threading.Thread | None = None
    if "fleet" in settings.domains:
        monitor = _monitor(settings, log, decider, stop, failed)
    beats = Watched("heartbeat", lambda: _beat(settings, log, decider, stop), decider.wake)

    def stopped() -> bool:
        beats.check()
        return stop.stopped()

    beats.start()
    try:
        run(decider, stopped, stop.pause)
    finally:
        stop.event.set()
        decider.close()
        beats.join(MONITOR_ENDS_S)
        if monitor is not None:
            monitor.join(MONITOR_ENDS_S)
        log.close()
    if failed:
        raise failed[0]


def _beat(settings: Settings, log: Log, decider: Decider, stop: Stop) -> None:
    """Say now and then that this decider lives, and what waits for somebody's help."""
    codec, started = Codec(), wall_clock()
    while not stop.stopped():
        beat = Heartbeat(
            host=socket.gethostname(),
            binary=CONDUCTOR,
            at=wall_clock(),
            started_at=started,
            version=__version__,
            troubles=[sentence[:TROUBLE_CHARS_MAX] for sentence in decider.troubles()],
        )
        try:
            log.append([heartbeat_record(codec, beat, str(uuid.uuid4()))])
        except LogError as error:
            logger.warning("no_heartbeat", reason=str(error))
        stop.pause(settings.report_interval_s)


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
            monitor.run(stop.event)
        except Exception as error:  # noqa: BLE001 - raised by the main thread, which it ends
            failed.append(error)
            stop.event.set()
            decider.wake()

    thread = threading.Thread(target=watch, name="liveness", daemon=True)
    thread.start()
    return thread
