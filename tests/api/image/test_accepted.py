"""What was accepted is not refused afterwards, where the tables do not show it yet."""

from __future__ import annotations

from typing import Any

import pytest

from projections.table import METADATA
from tests.api.image.conftest import Site


@pytest.mark.parametrize("lost", ["the image", "the member"])
@pytest.mark.parametrize(
    ("who", "method", "path", "body"),
    [
        ("anna", "POST", "members", {"member": "b"}),
        ("bert", "PUT", "members/b", {"status": "accepted"}),
    ],
)
def test_a_member_that_does_not_show(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    *,
    who: str,
    method: str,
    path: str,
    body: Any,
    lost: str,
) -> None:
    image = site.anna.create(visibility="shared")["id"]
    if who == "bert":
        assert site.anna(
            "POST", f"/v2/images/{image}/members", json={"member": "b"}
        ).status_code == (200)
    send, table = site.bus.send, METADATA.tables["images"]

    def sent(*given: Any) -> None:
        send(*given)
        change = table.delete() if lost == "the image" else table.update().values(members={})
        with site.engine.begin() as connection:
            connection.execute(change)

    monkeypatch.setattr(site.bus, "send", sent)
    answer = getattr(site, who)(method, f"/v2/images/{image}/{path}", json=body)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
