"""Names and host names of new servers."""

from __future__ import annotations

import pytest

from api.compute.naming import hostname_of, hostnames, numbered


@pytest.mark.parametrize(
    ("name", "hostname"),
    [
        ("web", "web"),
        ("Web Server_1.example", "web-server-1-example"),
        ("-.web.-", "web"),
        ("weß", "we"),
        ("☃", "Server-id"),
        ("...", "Server-id"),
        ("a" * 80, "a" * 63),
    ],
)
def test_a_host_name_follows_from_the_name(name: str, hostname: str) -> None:
    assert hostname_of(name, "id") == hostname


def test_several() -> None:
    assert [numbered("a", i, 2) for i in range(2)] == ["a-1", "a-2"]
    assert numbered("a", 0, 1) == "a"
    assert hostnames("A b", ["x", "y"]) == ["a-b-1", "a-b-2"]
    assert hostnames("☃", ["x", "y"]) == ["Server-x", "Server-y"]
    assert hostnames("☃", ["x"]) == ["Server-x"]
