from __future__ import annotations

import threading

import pytest

from chronova import watched
from chronova.watched import Watched


def test_a_thread_that_dies_is_noticed() -> None:
    woken = threading.Event()

    def die() -> None:
        raise KeyError("unforeseen")

    thread = Watched("one", die, woken.set)
    thread.check()
    thread.start()
    assert woken.wait(20)
    with pytest.raises(KeyError):
        thread.check()


def test_a_thread_that_dies_is_noticed_where_nothing_can_be_logged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody was told, and the process went on without it."""

    class Closed:
        def exception(self, *_: object, **__: object) -> None:
            raise OSError("a full disk")

    monkeypatch.setattr(watched, "logger", Closed())
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    woken = threading.Event()

    def die() -> None:
        raise KeyError("unforeseen")

    thread = Watched("one", die, woken.set)
    thread.start()
    assert woken.wait(20)
    with pytest.raises(KeyError):
        thread.check()


def test_a_thread_that_ends_as_it_should_is_fine() -> None:
    thread = Watched("one", lambda: None, lambda: None)
    thread.start()
    thread.join(20)
    thread.check()
