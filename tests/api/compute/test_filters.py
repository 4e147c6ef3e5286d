"""Expressions to filter by: what takes time without bound is refused before Postgres sees it."""

from __future__ import annotations

import falcon
import pytest

from api.compute.filters import PATTERN_CHARS_MAX, Wanted, _pattern


@pytest.mark.parametrize(
    "pattern",
    [
        r"^(a*)(a*)(a*)(a*)(a*)\1\2\3\4\5aaaaab?$",
        r"(.)\1",
        r"a\\\1",
        r"\9",
        r"[x]\1",
        "a" * (PATTERN_CHARS_MAX + 1),
    ],
)
def test_what_refers_back_or_is_too_long_is_refused(pattern: str) -> None:
    with pytest.raises(falcon.HTTPBadRequest) as refused:
        _pattern(Wanted(patterns={}), "name", pattern)
    assert "refers back" in str(refused.value.description)


@pytest.mark.parametrize("pattern", ["(a+)+$", r"a\\1", r"\d\.\w", "1", "a" * PATTERN_CHARS_MAX])
def test_others_are_asked_for(pattern: str) -> None:
    wanted = Wanted(patterns={})
    _pattern(wanted, "name", pattern)
    assert wanted.patterns == {"name": pattern}
