"""Liveness from heartbeats: the judge alone, and the monitor on a log."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from threading import Event, Thread

import pytest

from commands.fleet.judges import FILTERS, WEIGHERS, enabled
from commands.fleet.policy import Policy
from commands.fleet.service import DeleteService, ReportServiceDown, ReportServiceUp
from events import topics
from events.fleet.heartbeat import Heartbeat
from events.fleet.host import Host, ServiceWentDown
from events.log.contract import LogError, LogUnavailable, Outgoing, TopicMismatch
from events.log.memory import Cluster, Fault, MemoryLog
from events.log.memory_cluster import Operation
from events.log.records import Codec
from handlers.heartbeat import heartbeat_record
from handlers.liveness import Liveness
from handlers.scheduler import BadPlugin, LivenessMonitor, load_plugins
from tests.commands.fleet.fleet import Fleet, register

UP = {"a": True}
DOWN = {"a": False}


def test_a_new_host_has_the_whole_time_to_be_heard() -> None:
    judge = Liveness()
    assert judge.judge(1000.0, UP) == []
    assert judge.judge(1029.0, UP) == []
    assert judge.judge(1058.0, UP) == []
    assert judge.judge(1061.0, UP) == [ReportServiceDown(host="a", silent_s=61.0)]


def test_heartbeats_keep_a_host_up() -> None:
    judge = Liveness()
    for second in range(0, 300, 10):
        judge.heard("a", float(second))
        assert judge.judge(second + 1.0, UP) == []
    assert [judge.judge(at, UP) for at in (310.0, 330.0, 350.0)] == [[], [], []]
    assert judge.judge(350.5, UP) == [ReportServiceDown(host="a", silent_s=60.5)]


def test_a_verdict_is_repeated_only_if_nothing_came_of_it() -> None:
    judge = Liveness()
    said = [at for at in range(0, 100) if judge.judge(float(at), UP)]
    assert said == [61, 71, 81, 91]
    assert judge.judge(100.0, DOWN) == []
    judge.heard("a", 101.0)
    assert judge.judge(101.0, DOWN) == [ReportServiceUp(host="a")]
    assert judge.judge(105.0, DOWN) == []
    assert judge.judge(106.0, UP) == []


def test_a_host_that_registers_is_not_called_dead_at_once() -> None:
    judge = Liveness()
    for at in range(0, 100):
        judge.judge(float(at), DOWN)
    assert judge.judge(100.0, UP) == []
    assert judge.judge(125.0, UP) == []


def test_old_heartbeats_bring_nobody_back() -> None:
    judge = Liveness()
    judge.heard("a", 0.0)
    for at in range(0, 61, 10):
        judge.judge(float(at), UP)
    assert judge.judge(70.0, DOWN) == []


def test_a_deaf_judge_calls_nobody_dead() -> None:
    judge = Liveness()
    judge.judge(0.0, UP)
    judge.judge(20.0, UP)
    assert judge.judge(500.0, UP) == []
    assert judge.judge(529.0, UP) == []
    assert judge.judge(558.0, UP) == []
    assert judge.judge(561.0, UP) == [ReportServiceDown(host="a", silent_s=61.0)]


def test_hosts_that_are_gone_are_forgotten() -> None:
    judge = Liveness()
    judge.heard("a", 0.0)
    assert judge.judge(1.0, {}) == []
    assert judge.judge(2.0, DOWN) == []


def test_the_time_to_be_down_allows_for_a_lost_heartbeat() -> None:
    assert Liveness(service_down_time_s=5.0, report_interval_s=10.0).service_down_time_s == 25.0
    with pytest.raises(ValueError, match="report_interval"):
        Liveness(report_interval_s=0.0)


class Site:
    """A fleet on a log in memory, decided in this thread, with a clock to turn."""

    def __init__(self, *names: str) -> None:
        self.now = 0.0
        self.away = False
        self.broken: Exception | None = None
        self.operations: Counter[str] = Counter()
        self.owner = True
        self.codec = Codec()
        self.cluster = Cluster(self.micros, faults=self.fault)
        self.log = MemoryLog(cluster=self.cluster)
        self.log.create_topics(topics.all_topics(1))
        self.fleet = Fleet().when(*(register(name) for name in names))
        self.commands = self.log.reader({(topics.commands("fleet"), 0): 0})
        self.ids = (f"record-{number}" for number in itertools.count(1))
        self.monitor = LivenessMonitor(
            self.log,
            self.codec,
            self.hosts,
            clock=lambda: self.now,
            wall_clock=self.micros,
            new_id=lambda: next(self.ids),
            name="ctl",
            every_s=0.01,
        )

    def micros(self) -> int:
        return int(self.now * 1_000_000)

    def fault(self, operation: Operation) -> Fault | None:
        self.operations[operation.name] += 1
        if self.broken is not None:
            raise self.broken
        return Fault.UNAVAILABLE if self.away else None

    def hosts(self) -> Mapping[str, Host] | None:
        return dict(self.fleet.all("host")) if self.owner else None

    def beat(self, *names: str, ending: bool = False) -> None:
        for name in names:
            beat = Heartbeat(host=name, at=self.micros(), started_at=0, version="1", ending=ending)
            self.log.append([heartbeat_record(self.codec, beat, next(self.ids))])

    def pass_time(self, seconds: int, *beating: str) -> list[str]:
        """Second by second; what the decider made of the monitor's commands."""
        made: list[str] = []
        for second in range(seconds):
            self.now += 1.0
            if second % 10 == 0:
                self.beat(*beating)
            self.monitor.step()
            made += self.decided()
        return made

    def decided(self) -> list[str]:
        made: list[str] = []
        for record in self.commands.poll(0.0):
            command = self.codec.decode(record.value)
            assert isinstance(command, ReportServiceDown | ReportServiceUp)
            made += [f"{type(event).__name__} {command.host}" for event in self.fleet.when(command)]
        return made


def test_a_silent_host_goes_down_and_comes_back() -> None:
    site = Site("a", "b")
    assert site.pass_time(300, "a", "b") == []
    assert site.pass_time(70, "b") == ["ServiceWentDown a"]
    assert not site.fleet.host("a").up
    assert site.pass_time(5, "a", "b") == ["ServiceCameUp a"]
    assert site.fleet.host("a").up and site.fleet.host("b").up


def test_another_service_on_the_host_does_not_count() -> None:
    site = Site("a")
    for _ in range(70):
        site.now += 1.0
        beat = Heartbeat(host="a", binary="nova-scheduler", at=0, started_at=0)
        site.log.append([heartbeat_record(site.codec, beat, next(site.ids))])
        site.monitor.step()
    assert site.decided() == ["ServiceWentDown a"]


def test_the_scheduler_shows_that_it_lives() -> None:
    site = Site("a")
    site.pass_time(35, "a")
    beats = [
        site.codec.decode(record.value)
        for record in site.log.reader({(topics.HEARTBEATS, 0): 0}).poll(0.0)
    ]
    own = [b.at for b in beats if isinstance(b, Heartbeat) and b.binary == "nova-scheduler"]
    assert own == [1_000_000, 11_000_000, 21_000_000, 31_000_000]
    assert {b.host for b in beats if isinstance(b, Heartbeat)} == {"a", "ctl"}


def test_only_the_owner_of_the_fleet_judges() -> None:
    site = Site("a")
    site.owner = False
    assert site.pass_time(200) == []
    site.owner = True
    assert site.pass_time(60) == []
    assert site.pass_time(10) == ["ServiceWentDown a"]


def test_deleted_hosts_are_not_judged() -> None:
    site = Site("a")
    site.fleet.when(DeleteService(host="a"))
    assert site.pass_time(200) == []


def test_a_log_that_was_away_kills_nobody() -> None:
    site = Site("a")
    assert site.pass_time(50, "a") == []
    site.away = True
    with pytest.raises(LogUnavailable):
        site.monitor.step()
    stop = Event()
    runs = Thread(target=site.monitor.run, args=(stop,), daemon=True)
    stop.set()
    runs.start()
    runs.join(10)
    assert not runs.is_alive()
    site.now += 500.0
    site.away = False
    assert site.pass_time(40, "a") == []


def test_a_host_that_says_goodbye_is_down_soon_not_after_a_silence() -> None:
    """Not at once: a service that is restarted says goodbye too, and is back in a second."""
    site = Site("a", "b")
    assert site.pass_time(5, "a", "b") == []
    site.beat("a", ending=True)
    assert site.pass_time(4, "b") == []
    assert site.pass_time(2, "b") == ["ServiceWentDown a"]
    went_down = site.fleet.last.events[0]
    assert isinstance(went_down, ServiceWentDown) and went_down.ended
    assert site.pass_time(30, "b") == []
    assert site.pass_time(1, "a", "b") == ["ServiceCameUp a"]


def test_a_goodbye_that_nobody_listened_to_counts() -> None:
    """The decider was restarted together with the agent, which serves fewer hosts now."""
    site = Site("a", "b")
    site.owner = False
    assert site.pass_time(5, "a", "b") == []
    site.beat("a", "b", ending=True)
    site.beat("b")
    assert site.pass_time(2) == []
    site.owner = True
    assert site.pass_time(7, "b") == ["ServiceWentDown a"]


def test_a_goodbye_before_a_restart_does_not_count() -> None:
    site = Site("a")
    assert site.pass_time(5, "a") == []
    site.beat("a", ending=True)
    site.beat("a")
    assert site.pass_time(5) == []
    judge = Liveness()
    judge.judge(0.0, UP)
    judge.ended("a", 0.0)
    assert judge.judge(1.0, DOWN) == []
    assert judge.judge(2.0, UP) == []  # its agent has registered again


def test_anybody_may_say_anything_of_hosts_that_are_not_there() -> None:
    judge = Liveness()
    for number in range(100):
        judge.heard(f"nobody-{number}", 0.0)
        judge.ended(f"no one-{number}", 0.0)
    assert judge.judge(1.0, UP) == []
    assert not judge._heard and not judge._ended


def test_a_turn_costs_the_same_for_many_heartbeats() -> None:
    site = Site(*(f"h{n:03}" for n in range(500)))
    site.pass_time(1, *site.fleet.all("host"))
    site.beat(*site.fleet.all("host"))
    site.operations.clear()
    site.now += 1.0
    site.monitor.step()
    assert site.operations["reader.ends"] == 1
    assert site.operations["reader.poll"] <= 2


class TurnsOf:
    """An ``Event`` that is set after some waits; ``between`` happens at each."""

    def __init__(self, turns: int, between: Callable[[], None]) -> None:
        self.turns = turns
        self.between = between

    def is_set(self) -> bool:
        return self.turns <= 0

    def wait(self, timeout: float) -> bool:
        self.turns -= 1
        self.between()
        return self.is_set()


@pytest.mark.parametrize("error", [LogError("25006 read only"), TopicMismatch("no such topic")])
def test_no_error_of_the_log_ends_the_monitor(error: Exception) -> None:
    site = Site("a")
    site.broken = error

    def between() -> None:
        site.broken = None
        site.now += 1.0

    site.monitor.run(TurnsOf(70, between))
    assert site.decided() == ["ServiceWentDown a"]


def test_a_defect_ends_the_monitor_loudly() -> None:
    site = Site("a")
    site.broken = RuntimeError("a defect")
    with pytest.raises(RuntimeError, match="a defect"):
        site.monitor.run(TurnsOf(5, lambda: None))


def test_what_is_no_heartbeat_is_skipped() -> None:
    site = Site("a")
    site.pass_time(1)
    site.log.append([Outgoing(topics.HEARTBEATS, "a", b"no record")])
    assert site.pass_time(20, "a") == []


def test_plugins_are_found_by_their_entry_points() -> None:
    assert {point.name for point in entry_points(group="chronova.filters")} >= set(FILTERS)
    assert {point.name for point in entry_points(group="chronova.weighers")} >= set(WEIGHERS)
    before = enabled().policy
    try:
        made = load_plugins(Policy(enabled_filters=("AllHostsFilter",)))
        assert [filter.name for filter in made.filters] == ["AllHostsFilter"]
        assert enabled() is made
        with pytest.raises(ValueError, match="no filter is called Nothing"):
            load_plugins(Policy(enabled_filters=("Nothing",)))
        assert enabled() is made
    finally:
        load_plugins(before)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("no.such.module:filter", "No module named"),
        ("commands.fleet.judges:nothing", "nothing"),
        ("commands.fleet.judges:judges", "is no Filter"),
    ],
)
def test_a_bad_plugin_is_named(
    value: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "plugin-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1\n")
    (installed / "entry_points.txt").write_text(f"[chronova.filters]\nMyFilter = {value}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BadPlugin, match=f"chronova.filters: MyFilter = {value}.*{words}"):
        load_plugins(Policy())
