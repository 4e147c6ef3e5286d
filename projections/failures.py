"""What can go wrong between the log and the tables. Each text is one sentence for an operator."""

from __future__ import annotations


class ProjectionError(Exception):
    """Base of all failures of the projections."""


class ProjectorFenced(ProjectionError):
    """Another projector has moved the position, or the build is not followed any more: nothing
    was written."""


class BuildUnderWay(ProjectionError):
    """Another process is making a build: wait for it."""


class ProjectionSuperseded(ProjectionError):
    """Another version of Chronova has taken over the live projection."""


class WrongLog(ProjectionError):
    """The projection was made from another log."""


class ProjectionAhead(ProjectionError):
    """The projection has seen more than the log holds."""


class BrokenPartition(ProjectionError):
    """The next record of a partition cannot be taken: the partition waits at its ``offset``."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason)
        self.offset = offset


class ChainBroken(BrokenPartition):
    """An event does not follow the one before it: events are missing, changed, or of another
    log."""


class UnreadableEvent(BrokenPartition):
    """An event cannot be decoded by this version of Chronova."""


class UnreadableRow(ProjectionError):
    """The row of one aggregate cannot be read or made."""


class BatchTooLarge(ProjectionError):
    """The rows of a batch are too many bytes: nothing was sent, halves of it may do."""


class ProjectionDiffers(ProjectionError):
    """A build does not hold what the log says."""


class ProjectionNotReady(ProjectionError):
    """There is no live build of this version (yet): reads have to wait."""
