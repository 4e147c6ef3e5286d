"""How a host gets an image's data: by a signed link to the API, streamed into a file.

No token is needed and no database is asked. The driver checks the checksum; a broken transfer is
``ImageUnavailable``, which is worth another try.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from commands.image.direct_url import link
from handlers.compute.drivers.contract import ImageUnavailable

TIMEOUT_S = 30.0
"""Without a byte."""
VALID_S = 3600
CHUNK_BYTES = 1 << 20


class LinkFetch:
    """Fetches by checksum (SHA-512, hex). ``stopped()`` ends a transfer early."""

    def __init__(self, api_url: str, key: bytes, stopped: Callable[[], bool]) -> None:
        self._api_url = api_url
        self._key = key
        self._stopped = stopped

    def __call__(self, checksum: str, path: Path) -> None:
        """Write the data to ``path``. Raises ``ImageUnavailable`` or an OSError of writing."""
        address = self._api_url + link(self._key, checksum, int(time.time()) + VALID_S)
        try:
            with urllib.request.urlopen(address, timeout=TIMEOUT_S) as data, path.open("wb") as out:
                while chunk := data.read(CHUNK_BYTES):
                    if self._stopped():
                        raise ImageUnavailable("The agent is ending.")
                    out.write(chunk)
        except urllib.error.HTTPError as error:
            raise ImageUnavailable(f"The image store answered {error.code}.") from error
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
            raise ImageUnavailable(f"The image could not be fetched: {error}") from error
