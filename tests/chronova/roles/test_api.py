"""What of a site's settings reaches the API."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.tokens.claims import Claims, new_audit_id, seal
from api.tokens.keys import TokenKeys
from api.tokens.reading import now
from chronova.roles.api import _Server, api_settings
from chronova.roles.lanes import UPLOAD, sizes_of
from chronova.settings import Settings
from projections.identity.standing import Scope


@pytest.mark.parametrize("threads", [1, 16, 200])
def test_uploads_are_bounded_by_their_lane_alone(threads: int) -> None:
    """It gives each user a share. A bound below it has none: one user filled it."""
    settings = api_settings(Settings(api_threads=threads))
    assert settings.image_uploads_max >= sizes_of(threads)[UPLOAD]


def test_bounds_of_images() -> None:
    settings = api_settings(
        Settings(image_gib_max=2, image_room_kept_mib=3, image_project_gib_max=4)
    )
    assert settings.image_bytes_max == 2 << 30
    assert settings.image_room_kept_bytes == 3 << 20
    assert settings.image_project_bytes_max == 4 << 30


def test_the_worker_knows_the_users_of_the_sites_tokens(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path))
    claims = Claims(
        user_id="anna",
        scope=Scope("project", "p"),
        methods=("password",),
        issued_at=now(),
        expires_at=now() + 60_000_000,
        audit_ids=(new_audit_id(),),
    )
    token = seal(TokenKeys(api_settings(settings).token_keys_path), claims)
    callers = _Server(settings).cfg.worker_class.callers
    head = f"GET / HTTP/1.1\r\nX-Auth-Token: {token}\r\n\r\n"
    assert callers.of(head.encode(), "1.2.3.4") == "user anna"
