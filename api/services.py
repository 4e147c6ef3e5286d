"""What every service package of the API is given: the way to ask, the way to read, the settings.

Nothing here is global: two API servers with different settings can live in one process (the
tests do so).
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import sqlalchemy

from api.bus import Bus
from api.consoles import ConsoleSource
from api.http.rates import RateSettings


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the API.

    ``data_path`` is the directory shared by the API's own processes; what lies in it is named
    by the properties below, so that every room agrees on the places.
    """

    public_url: str = "http://127.0.0.1:8774"
    """Where clients reach us, no trailing slash: the root of all links and the catalog."""
    region: str = "RegionOne"
    data_path: Path = Path(".chronova")
    token_ttl_s: int = 3600
    body_bytes_max: int = 114688
    """Bound of a JSON body; Nova's ``[oslo_middleware]max_request_body_size``."""
    list_items_max: int = 1000
    """Bound of one page; Nova's ``[api]max_limit``."""
    image_bytes_max: int = 1 << 40
    """Bound of one image's data; Glance's ``image_size_cap``."""
    image_project_bytes_max: int = 0
    """Bound of the data of a project's images; Glance's ``user_storage_quota``. 0: none."""
    image_room_kept_bytes: int = 1 << 30
    """What uploads leave free of the image store's disk."""
    image_uploads_max: int = 8
    """Uploads that a process takes at once, so that slow ones leave threads for other requests. In
    a site the server's lane of uploads is the bound, and gives each user a share."""
    metadata_items_max: int = 128
    key_pairs_max: int = 100
    service_down_time_s: float = 60.0
    """Who was not heard for so long is down."""
    rates: RateSettings = RateSettings()
    """How much a project and an address may ask for; by default as much as they like."""
    admin_password_chars: int = 12
    """Length of a generated adminPass; 0 leaves it out (``enable_instance_password``)."""

    @property
    def token_keys_path(self) -> Path:
        """Directory of the tokens' Fernet keys."""
        return self.data_path / "token-keys"

    @property
    def images_path(self) -> Path:
        """Directory of the content-addressed image store."""
        return self.data_path / "images"

    @property
    def image_url_key_path(self) -> Path:
        """File of the key that signs hosts' links to image data."""
        return self.data_path / "image-url.key"

    @property
    def host_proof_key_path(self) -> Path:
        """File of the key that hosts' report keys are derived from; hosts lack it."""
        return self.data_path / "host-proof.key"

    @property
    def instances_path(self) -> Path:
        """Directory under which hosts keep ``<host>/<server id>/console.log``."""
        return self.data_path / "instances"

    @property
    def secrets_path(self) -> Path:
        """Directory of servers' secrets and their keys; hosts have none of it."""
        return self.data_path / "secrets"

    @property
    def idempotency_key_path(self) -> Path:
        """File of the key of the hashes that recognise a repeated request; hosts lack it."""
        return self.data_path / "idempotency.key"


class Services(msgspec.Struct, frozen=True):
    """The API's means.

    ``engine`` reads the projections. Make it with isolation level AUTOCOMMIT, so that a read is
    one round trip to the database, and with a bounded pool.
    """

    bus: Bus
    engine: sqlalchemy.Engine
    settings: ApiSettings = ApiSettings()
    consoles: ConsoleSource | None = None
    """Where servers' consoles are read; None: their files under ``settings.instances_path``."""
