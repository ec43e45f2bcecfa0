"""The first words with TWS: who answers at the address, and why it is not TWS, or not for us."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import Any

from aurora.errors import VenueRefusal, VenueSilent
from aurora.ibkr.address import Address

_HEAD = 4
_LONGEST = 200
"""The first answer is a version and a time; what announces more is no TWS."""


class ClientIdInUse(VenueRefusal):
    """Another program is connected by the client id (326)."""


class Handshake:
    """One try: make → the client is ready, or the reason why not is raised as soon as it is known.

    The library itself waits for its time-out whatever comes: a closed socket, another protocol, an old version.
    """

    def __init__(self, client: Any, address: Address) -> None:
        self._client = client
        self._address = address
        self._refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._raw = b""
        self._version = ""

    async def make(self) -> None:
        """Connect. Raises VenueRefusal, and VenueSilent after the address's time-out."""
        client, where = self._client, self._address
        client.conn.hasData.connect(self._on_data)
        client.conn.disconnected.connect(self._on_closed)
        trying = asyncio.ensure_future(client.connectAsync(where.host, where.port, where.client_id, 0))
        try:
            over, _ = await asyncio.wait(
                {trying, self._refused}, timeout=where.timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not over:
                raise self._silent()
            if self._refused in over:
                self._refused.result()
            await trying
        except OSError as error:
            raise self._unreached(error) from error
        finally:
            client.conn.hasData.disconnect(self._on_data)
            client.conn.disconnected.disconnect(self._on_closed)
            self._refused.cancel()
            if not trying.done() or trying.exception():
                trying.cancel()
                with contextlib.suppress(BaseException):
                    await trying
                client.disconnect()

    def refuse(self, refusal: VenueRefusal) -> None:
        """End the try with `refusal`; one that is over stays as it is."""
        if not self._refused.done():
            self._refused.set_exception(refusal)

    def refuse_in_use(self) -> None:
        """End the try: the client id is taken (326)."""
        where = self._address
        self.refuse(
            ClientIdInUse(
                f"Another program is connected to {where.shown} as client {where.client_id} (326).",
                means="only the client that placed an order can cancel it, so two can't share a number",
                todo="end the other session, or take another IB_CLIENT_ID",
            )
        )

    def _on_data(self, data: bytes) -> None:
        if self._version:
            return
        self._raw += data
        if len(self._raw) < _HEAD:
            return
        length = struct.unpack(">I", self._raw[:_HEAD])[0]
        fields = self._raw[_HEAD : _HEAD + length].split(b"\0")
        if length > _LONGEST or (len(self._raw) >= _HEAD + length and not (len(fields) == 3 and fields[0].isdigit())):
            self.refuse(self._no_tws())
        elif len(self._raw) >= _HEAD + length:
            self._version = fields[0].decode()
            self._check_version()

    def _check_version(self) -> None:
        least, most = self._client.MinClientVersion, self._client.MaxClientVersion
        if not least <= int(self._version) <= most:
            self.refuse(
                VenueRefusal(
                    f"{self._address.shown} speaks protocol version {self._version}; known are {least} to {most}.",
                    means="its messages would be read wrongly; nothing was sent",
                    todo="update TWS or IB Gateway where it is older, ib_async where it is newer",
                )
            )

    def _on_closed(self, _: str) -> None:
        self.refuse(
            VenueRefusal(
                f"{self._address.shown} closed the connection before the API was open.",
                means="nothing is known of the account; nothing was sent",
                todo="see TWS: Global Configuration, API, Settings; this machine has to be a trusted address there",
            )
        )

    def refuse_unreadable(self, text: str) -> None:
        """End the try: what came can't be read."""
        self.refuse(
            VenueRefusal(
                f"{self._address.shown} sent what can't be read: {text}.",
                means="it is another program, or of another version; nothing was sent",
                todo="see that TWS or IB Gateway listens at IB_HOST and IB_PORT, and which version it is",
            )
        )

    def _no_tws(self) -> VenueRefusal:
        return VenueRefusal(
            f"What answers at {self._address.shown} does not speak TWS's protocol.",
            means="it is another program; nothing was sent",
            todo="set IB_HOST and IB_PORT to where TWS or IB Gateway listens",
        )

    def _silent(self) -> VenueSilent:
        said = "it took the connection, and said nothing"
        if self._raw:
            said = "it told its version, and no account" if self._version else "its first answer has no end"
        return VenueSilent(
            f"{self._address.shown} did not answer within {self._address.timeout_s:g} s: {said}.",
            means="nothing is known of it, and nothing is assumed",
            todo="look whether TWS or IB Gateway hangs, waits for a login, or asks in a dialog to let the API in",
        )

    def _unreached(self, error: OSError) -> VenueRefusal:
        said = "nothing listens there" if isinstance(error, ConnectionRefusedError) else str(error)
        return VenueRefusal(
            f"{self._address.shown} can't be reached: {said}.",
            means="no order and no quote can be had; nothing was sent",
            todo="start TWS or IB Gateway, log in, and see its API settings: port, and which addresses it trusts",
        )
