"""How a host gets an image's data: by a signed link to the API, streamed into a file.

No token is needed and no database is asked. The driver checks the checksum; a broken transfer is
``ImageUnavailable``, which is worth another try. A fetch that is called off ends at once, also
while it waits for data: its connection is shut down.
"""

from __future__ import annotations

import http.client
import socket
import time
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

from commands.image.direct_url import link
from handlers.compute.drivers.contract import ImageUnavailable
from handlers.compute.image_fetch import Transfer

TIMEOUT_S = 30.0
"""Without a byte."""
VALID_S = 3600
CHUNK_BYTES = 1 << 20


class LinkFetch:
    """Fetches by checksum (SHA-512, hex)."""

    def __init__(self, api_url: str, key: bytes) -> None:
        self._api = urlsplit(api_url)
        self._key = key

    def __call__(self, checksum: str, path: Path, transfer: Transfer) -> None:
        """Write the data to ``path``. Raises ``ImageUnavailable`` or an OSError of writing."""
        with closing(self._connection()) as connection:
            try:
                answer = self._asked(connection, checksum, transfer)
            except (http.client.HTTPException, OSError) as error:
                transfer.moved(0, 0)  # called off rather than broken?
                raise ImageUnavailable(f"The image could not be fetched: {error}") from error
            if answer.status != http.client.OK:
                raise ImageUnavailable(f"The image store answered {answer.status}.")
            total = int(answer.getheader("Content-Length") or 0)
            done = 0
            with path.open("wb") as out:
                while chunk := self._chunk(answer, transfer, done, total):
                    out.write(chunk)
                    done += len(chunk)
            transfer.moved(done, total)

    def _connection(self) -> http.client.HTTPConnection:
        secure = self._api.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        return kind(self._api.hostname or "", self._api.port, timeout=TIMEOUT_S)

    def _asked(
        self, connection: http.client.HTTPConnection, checksum: str, transfer: Transfer
    ) -> http.client.HTTPResponse:
        connection.connect()
        wire: socket.socket = connection.sock

        def shut_down() -> None:
            with suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)

        transfer.on_called_off(shut_down)
        address = link(self._key, checksum, int(time.time()) + VALID_S)
        connection.request("GET", self._api.path.rstrip("/") + address)
        return connection.getresponse()

    def _chunk(
        self, answer: http.client.HTTPResponse, transfer: Transfer, done: int, total: int
    ) -> bytes:
        """The next data; empty at the end. Raises ``ImageUnavailable``, or what calls it off."""
        transfer.moved(done, total)
        try:
            chunk = answer.read1(CHUNK_BYTES)
        except (http.client.HTTPException, OSError) as error:
            transfer.moved(done, total)  # called off rather than broken?
            raise ImageUnavailable(f"The image could not be fetched: {error}") from error
        if not chunk and done < total:
            transfer.moved(done, total)
            raise ImageUnavailable(f"The transfer broke off after {done} of {total} bytes.")
        return chunk
