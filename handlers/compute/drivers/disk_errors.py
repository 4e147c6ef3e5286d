"""Failures of reading and writing files, said in the contract's errors."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from handlers.compute.drivers.contract import DiskFull, DriverError, ImageUnavailable


@contextmanager
def disk_errors_named(subject: str) -> Iterator[None]:
    """OSErrors within come out as DiskFull, ImageUnavailable (a network's), or DriverError."""
    try:
        yield
    except (ConnectionError, TimeoutError) as error:
        raise ImageUnavailable(
            f"The connection broke while fetching {subject}: {error}."
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"No space is left on this host's disk for {subject}.") from error
        reason = error.strerror or str(error)
        raise DriverError(f"Writing the files of {subject} failed: {reason}.") from error


@contextmanager
def unreadable_named(subject: str) -> Iterator[None]:
    """OSErrors within come out as DriverError, but for that of a file which is not there."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise DriverError(f"Reading the files of {subject} failed: {reason}.") from error
