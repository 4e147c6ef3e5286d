"""How many files, connections among them, this process may open."""

from __future__ import annotations

import resource


def allow_open_files(count: int) -> None:
    """Raise the soft limit to ``count``, or as far as the hard limit lets it; never lower it. Many
    systems let a process open 1024 unless it asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
