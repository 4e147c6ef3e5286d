"""Names and host names of new servers."""

from __future__ import annotations

import re

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


@pytest.mark.parametrize("name", ["a" * 80, "a" * 255, "a" * 60 + "-.-" + "b" * 20, "a.b " * 30])
def test_numbers_fit_within_the_bounds(name: str) -> None:
    ids = [str(n) for n in range(1000)]
    hosts = hostnames(name, ids)
    assert len(set(hosts)) == 1000
    assert all(re.fullmatch("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", host) for host in hosts)
    names = [numbered(name, n, 1000) for n in range(1000)]
    assert len(set(names)) == 1000
    assert all(len(each) <= 255 for each in names)
