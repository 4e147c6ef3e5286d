"""What of a site's settings reaches the API."""

from __future__ import annotations

import pytest

from chronova.roles.api import api_settings
from chronova.roles.lanes import UPLOAD, sizes_of
from chronova.settings import Settings


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
