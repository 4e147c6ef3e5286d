"""A defect in a thread of the libvirt driver ends the process, or is told to who waits for it.

Each went unseen: no guest's change was reported any more, or libvirt was away for good.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from events.log.supervised import EXIT_CODE

libvirt = pytest.importorskip("libvirt")

AGENT = """
import threading
import libvirt
from handlers.compute.drivers import libvirt_connection as connections
from handlers.compute.drivers.contract import LifecycleEvent
from handlers.compute.drivers.libvirt_events import GuestEvents

def defect(*arguments):
    raise ValueError("a defect")

{body}
threading.Event().wait(30)
print("it lives on")
"""

EVENT = """
events = GuestEvents({owns})
events.listen({heard})
events.put("s", LifecycleEvent.STARTED)
"""

DEFECTS = {
    "guest-events, of a listener": EVENT.format(owns="lambda id: True", heard="defect"),
    "guest-events, of a guest": EVENT.format(owns="defect", heard="print"),
    "libvirt-events": """
libvirt.virEventRunDefaultImpl = defect
connections.LibvirtConnection("test:///default", print)
""",
    "libvirt-watcher": """
connection = connections.LibvirtConnection("test:///default", print)
connection.get = lambda: None
connection.watch(defect)
connection._note_lost(None, 0, None)
""",
}


@pytest.mark.parametrize("where", DEFECTS)
def test_a_defect_ends_the_process(where: str) -> None:
    program = AGENT.format(body=DEFECTS[where])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == EXIT_CODE, done.stdout + done.stderr
    assert f"thread {where.partition(',')[0]} failed" in done.stderr
    assert "ValueError: a defect" in done.stderr


def test_threads_that_are_asked_to_end_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from handlers.compute.drivers import libvirt_connection as connections
    from handlers.compute.drivers.contract import LifecycleEvent
    from handlers.compute.drivers.libvirt_events import GuestEvents

    heard: list[str] = []
    events = GuestEvents(lambda server_id: True)
    events.listen(lambda server_id, event: heard.append(server_id))
    events.put("s", LifecycleEvent.STARTED)
    connection = connections.LibvirtConnection("test:///default", lambda opened: None)
    monkeypatch.setattr(connection, "get", lambda: None)
    connection.watch(lambda: None)
    events.close()
    connection.close()
    threads = [events._thread, connection._watcher]
    assert [thread is not None and thread.is_alive() for thread in threads] == [False, False]


def test_a_connection_that_cannot_be_made_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All later calls waited for the first one, whose thread had died."""
    from handlers.compute.drivers import libvirt_connection as connections

    def defect(uri: str) -> None:
        tries.append(uri)
        raise ValueError("a defect")

    tries: list[str] = []
    monkeypatch.setattr(connections, "OPEN_TIMEOUT_S", 10)
    monkeypatch.setattr(libvirt, "open", defect)
    connection = connections.LibvirtConnection("test:///default", lambda opened: None)
    for _ in range(2):
        with pytest.raises(ValueError, match="a defect"):
            connection.get()
    assert len(tries) == 2
    connection.close()


def test_a_defect_of_the_probe_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was waited for, and then said that the guest had not started."""
    import threading
    from concurrent.futures import Future

    from handlers.compute.drivers import libvirt_probe
    from handlers.compute.drivers.libvirt_connection import LibvirtConnection

    def defect(self: object) -> None:
        raise ValueError("a defect")

    monkeypatch.setattr(LibvirtConnection, "calling", defect)
    started: Future[None] = Future()
    libvirt_probe._run("test:///default", "", started, threading.Event())
    with pytest.raises(ValueError, match="a defect"):
        started.result(0)
