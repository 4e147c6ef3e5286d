"""What was accepted is not refused afterwards, where the tables do not show it yet."""

from __future__ import annotations

from typing import Any

import pytest

from projections.table import METADATA
from tests.parts.cloud import Cloud


@pytest.mark.parametrize("kind", ["project", "user", "group", "role", "domain"])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_does_not_show_is_not_refused(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, kind: str, method: str
) -> None:
    admin = cloud.admin()
    path = f"/identity/v3/{kind}s"
    if method == "PATCH":
        made = admin.call("POST", path, {kind: {"name": "old"}}, 201)
        path += f"/{made[kind]['id']}"
    send, table = cloud.bus.send, METADATA.tables[f"identity_{kind}s"]

    def sent(*given: Any) -> None:
        send(*given)
        with cloud.services.engine.begin() as connection:
            connection.execute(table.delete())

    monkeypatch.setattr(cloud.bus, "send", sent)
    answer = admin.answer(method, path, {kind: {"name": "new"}})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
