from __future__ import annotations

import pytest

from commands.compute.delete import DeleteServer
from commands.compute.read_secrets import ReadSecrets
from events.compute.server import SecretsRef
from tests.commands.compute.servers import HOST, P, S, compute, created, selected

REF = SecretsRef(secrets_id="s-1", user_data=True, stored_at=1)


def read(**changes: object) -> ReadSecrets:
    fields = {"server_id": S, "project_id": P, "host": HOST, "generation": 1, "secrets_id": "s-1"}
    return ReadSecrets(**(fields | changes))  # type: ignore[arg-type]


def test_the_host_that_the_server_is_placed_on_reads() -> None:
    compute(created(secrets=REF), selected()).when(read()).nothing()


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"host": "host-2"}, 403),
        ({"generation": 2}, 403),
        ({"generation": 0}, 403),
        ({"secrets_id": "s-2"}, 404),
        ({"server_id": "other"}, 404),
        ({"project_id": "other"}, 404),
    ],
)
def test_nobody_else_does(changes: dict[str, object], status: int) -> None:
    compute(created(secrets=REF), selected()).when(read(**changes)).refused(status)


def test_not_before_the_server_is_placed_and_not_after_it_is_gone() -> None:
    story = compute(created(secrets=REF)).when(read())
    story.refused(403)
    story.when(DeleteServer(server_id=S))
    assert story.state("server", S) is None
    story.when(read()).refused(404)


def test_not_what_it_does_not_have() -> None:
    compute(created(), selected()).when(read()).refused(404)
