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
