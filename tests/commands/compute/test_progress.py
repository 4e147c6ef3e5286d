from __future__ import annotations

from commands.compute import limits
from commands.compute.boot import ReportDisksCreated, ReportImageFetched
from commands.compute.progress import ReportProgress
from events.compute.server import facts as f
from events.compute.server.overdue import EndOverdueOperation
from events.message import Command
from tests.commands.compute.servers import HOST, P, S, active, building, compute
from tests.parts.given import NOW


def progress(done: int, total: int = 1000, host: str = HOST) -> ReportProgress:
    return ReportProgress(
        server_id=S,
        project_id=P,
        host=host,
        generation=1,
        operation=1,
        step="image",
        bytes_done=done,
        bytes_total=total,
    )


def step(kind: type) -> Command:
    made: Command = kind(server_id=S, project_id=P, host=HOST, generation=1, operation=1)
    return made


def test_a_build_that_goes_on_outlives_its_first_deadline() -> None:
    story = compute(*building())
    first = story.state("server", S).deadline
    late = first - 1
    story.when(progress(250), at=late).happened(f.OperationProgressed)
    server = story.state("server", S)
    assert server.progress == 25
    assert server.deadline == late + limits.LEASE
    story.when(EndOverdueOperation(server_id=S, deadline=first), at=first).nothing()


def test_a_build_that_stands_still_ends() -> None:
    story = compute(*building()).when(progress(250), at=NOW + 10**9)
    deadline = story.state("server", S).deadline
    over = EndOverdueOperation(server_id=S, deadline=deadline)
    story.when(over, at=deadline).happened(f.BootFailed)
    assert story.state("server", S).progress is None


def test_progress_never_shortens_a_deadline() -> None:
    story = compute(*building())
    first = story.state("server", S).deadline
    story.when(progress(1), at=NOW)
    assert story.state("server", S).deadline == first


def test_the_steps_after_a_long_fetch_have_time() -> None:
    story = compute(*building())
    late = NOW + 10 * limits.BUILD
    story.when(step(ReportImageFetched), at=late).happened(f.ImageFetched)
    assert story.state("server", S).deadline == late + limits.LEASE
    story.when(step(ReportDisksCreated), at=late + 1).happened(f.DisksCreated)
    assert story.state("server", S).deadline == late + 1 + limits.LEASE


def test_only_the_server_s_host_is_believed() -> None:
    compute(*building()).when(progress(1, host="host-9")).nothing()


def test_late_progress_is_of_no_interest() -> None:
    compute(*active()).when(progress(1)).nothing()
