"""The sockets: one protocol object a connection, from handshake to end, and the listener that makes them."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections import deque
from collections.abc import Callable

from aurora.gateway.gateway import Gateway
from aurora.gateway.listings import venue_time
from aurora.gateway.messages import NO_REQUEST, error
from aurora.gateway.requests import serve
from aurora.gateway.session import Session
from aurora.gateway.settings import NEWEST_VERSION, SERVER_VERSION
from aurora.gateway.wire import PREFIX, FieldError, Fields, FrameReader, WireError, pack, split_fields

PARTING_S = 1.0
"""How long a client whose connection was ended may take to close its side."""

_VERSIONS = re.compile(rb"v([0-9]{1,4})\.\.([0-9]{1,4})(?: .*)?", re.DOTALL)
_START_API = "71"

Say = Callable[[str], None]


def say_nothing(line: str) -> None:
    """Tell nobody."""


class Connection(asyncio.Protocol):
    """One connection: prefix → versions → startApi → requests, until one side ends it.

    say: told of each connection's begin and end, with the reason.
    """

    def __init__(self, gateway: Gateway, say: Say) -> None:
        self._gateway = gateway
        self._say = say
        self._reader = FrameReader()
        self._next: Callable[[bytes], None] = self._versions
        self._prefixed = False
        self._version = 0
        self._session: Session | None = None
        self._out: list[bytes] = []
        self._piece = 0
        self._stalled = False
        self._ended = ""
        self.is_lost = False
        self._sent_at: deque[float] = deque()

    def _is_silent(self) -> bool:
        return bool(self._ended) or self._stalled

    # ── What asyncio calls ───────────────────────────────────────────────────────────────────────────────────────────
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with a client; while the gateway restarts there is none."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.call_later(self._gateway.settings.handshake_s, self._late)
        peer = transport.get_extra_info("peername")
        self.name = f"{peer[0]}:{peer[1]}" if peer else "a client"
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._gateway.closed_for_restart:
            self.reset("the gateway restarts")

    def data_received(self, data: bytes) -> None:
        """Serve every whole frame that is there."""
        if self._is_silent():
            return
        self._reader.feed(data)
        try:
            if not self._prefixed and not self._prefix():
                return
            for body in self._reader.frames():
                self._next(body)
                if self._is_silent():
                    return
        except WireError as fault:
            self.close(str(fault))
        except FieldError as fault:
            self.close(f"startApi could not be read: {fault}")

    def connection_lost(self, exc: Exception | None) -> None:
        """End the session; the venue keeps its orders."""
        self._deadline.cancel()
        self.is_lost = True
        self._end("the client closed it" if exc is None else f"the connection broke: {exc}")

    def _end(self, reason: str) -> None:
        if self._ended:
            return
        self._ended = reason
        self._say(f"{self.name} ended: {reason}")
        if self._session is not None:
            self._gateway.end_session(self._session)

    # ── The handshake ────────────────────────────────────────────────────────────────────────────────────────────────
    def _prefix(self) -> bool:
        prefix = self._reader.take(len(PREFIX))
        if prefix is None:
            return False
        if prefix != PREFIX:
            raise WireError(f"the connection began with {prefix!r}, not with {PREFIX!r}")
        self._prefixed = True
        return True

    def _versions(self, body: bytes) -> None:
        match = _VERSIONS.fullmatch(body)
        if match is None:
            raise WireError(f"the versions were {body[:60]!r}; they read like v157..178")
        least, most = int(match[1]), int(match[2])
        offered = min(most, self._gateway.settings.max_version, NEWEST_VERSION)
        if not max(least, SERVER_VERSION) <= offered:
            raise WireError(f"the client speaks versions {least} to {most}; the gateway {SERVER_VERSION} and later")
        self._version = offered
        self.write(pack((offered, venue_time(self._gateway.now()))))
        self._next = self._start

    def _start(self, body: bytes) -> None:
        fields = Fields(split_fields(body))
        if (asked := fields.text()) != _START_API:
            raise WireError(f"the request {asked[:40]!r} came before startApi")
        fields.skip(1)
        client_id = fields.whole()
        self._deadline.cancel()
        self.name = f"client {client_id} ({self.name})"
        self._next = self._request
        self._session = self._gateway.open_session(client_id, self._version, self)
        if self._session is not None:
            self._say(f"{self.name} connected at version {self._version}")

    def _late(self) -> None:
        self.reset(f"no startApi came within {self._gateway.settings.handshake_s:g} s")

    # ── Requests ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def _request(self, body: bytes) -> None:
        assert self._session is not None
        if self._is_too_fast():
            text = "Max rate of messages per second has been exceeded:"
            most = self._gateway.settings.max_messages_per_s
            self._session.transmit(error(NO_REQUEST, 100, f"{text}max={most} rec={len(self._sent_at)}"))
            raise WireError(f"it sent more than {most} messages in a second")
        serve(self._gateway, self._session, split_fields(body))

    def _is_too_fast(self) -> bool:
        now = self._loop.time()  # TWS counts by the wall clock, whatever time it is at the venue
        self._sent_at.append(now)
        while now - self._sent_at[0] >= 1:
            self._sent_at.popleft()
        return len(self._sent_at) > self._gateway.settings.max_messages_per_s

    # ── The line to the client ───────────────────────────────────────────────────────────────────────────────────────
    def write(self, data: bytes) -> None:
        """Send `data` together with all else that this turn of the loop gives."""
        if self._is_silent():
            return
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        data, self._out = b"".join(self._out), []
        if not data or self._stalled or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > self._gateway.settings.max_waiting_bytes:
            self.reset("it did not read what it asked for")
            return
        if self._piece and len(data) > self._piece:
            self._out = [data[self._piece :]]
            self._loop.call_soon(self._flush)
            data = data[: self._piece]
        self._transport.write(data)

    def close(self, reason: str) -> None:
        """Send what waits, then end the connection.

        What the client still sends is read and dropped: the kernel would answer it with a reset, which overtakes the
        last message.
        """
        if self._ended:
            return
        self._piece = 0
        self._flush()
        self._end(reason)
        self._transport.write_eof()
        self._deadline.cancel()
        self._deadline = self._loop.call_later(PARTING_S, self._transport.abort)

    def reset(self, reason: str) -> None:
        """End the connection at once: what waits is lost."""
        if self.is_lost:
            return
        self._end(reason)
        self._out = []
        linger = struct.pack("ii", 1, 0)  # the kernel answers with RST, as a crashed or firewalled peer does
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._transport.abort()

    def stall(self) -> None:
        """Neither read nor write any more."""
        self._stalled = True
        self._transport.pause_reading()

    def cut(self, size: int) -> None:
        """Send in pieces of `size` bytes from now on."""
        self._piece = size


class Server:
    """A listening gateway: start → connections come and go → stop.

    host: loopback unless told; port: 0 takes a free one.
    """

    def __init__(self, gateway: Gateway, host: str = "127.0.0.1", port: int = 0, say: Say = say_nothing) -> None:
        self._gateway = gateway
        self._host = host
        self._wanted = port
        self._say = say
        self._connections: set[Connection] = set()
        gateway.drop_connections = self._drop

    async def start(self) -> None:
        """Begin to listen. Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connect, self._host, self._wanted)

    @property
    def port(self) -> int:
        """Return the port that it listens on."""
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """End every connection and listen no more."""
        self._server.close()
        self._drop("the gateway stops")
        while any(not connection.is_lost for connection in self._connections):
            await asyncio.sleep(0)
        await self._server.wait_closed()

    def _connect(self) -> Connection:
        connection = Connection(self._gateway, self._say)
        self._connections = {each for each in self._connections if not each.is_lost} | {connection}
        return connection

    def _drop(self, reason: str) -> None:
        for connection in self._connections:
            connection.reset(reason)
