"""The first words with what is no TWS, an old one, or one that closes: named at once, or within the time-out."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from aurora.errors import VenueRefusal, VenueSilent
from aurora.ibkr.address import Address
from aurora.ibkr.broker import IbkrBroker
from aurora.ibkr.connection import Connection
from aurora.ibkr.contracts import Contracts
from tests.ibkr.desk import ACCOUNT, VenueDesk, until

VERSION = ("176", "20260105 10:00:00 EST")
ACCOUNTS = ("15", "1", ACCOUNT)
AT_ONCE = 60.0
"""A time-out that a test would not live to see: what is told before it was not waited for."""


def frame(*fields: str) -> bytes:
    """Return a frame as TWS sends it."""
    body = "".join(f"{field}\0" for field in fields).encode()
    return struct.pack(">I", len(body)) + body


@contextmanager
def peer(*answers: bytes, ends: str = "silent") -> Iterator[int]:
    """Listen; say the next of `answers` to whatever comes; then say nothing more, close, or reset."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                client, _ = server.accept()
                with client:
                    for answer in answers:
                        client.recv(1000)
                        client.sendall(answer)
                    if ends != "silent":
                        client.recv(1000)
                    if ends == "reset":
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    while ends == "silent" and client.recv(1000):
                        pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def refusal(port: int, timeout_s: float) -> VenueRefusal:
    """Return why a broker could not be opened at a port."""
    connection = Connection(Address("127.0.0.1", port, 1, ACCOUNT, 0, timeout_s))
    IbkrBroker(connection, Contracts(connection))
    with pytest.raises(VenueRefusal) as caught:
        connection.open()
    assert connection.is_closed
    return caught.value


@pytest.mark.parametrize(
    ("answers", "ends", "said"),
    [
        pytest.param([], "close", "closed the connection before the API was open", id="closed"),
        pytest.param([frame(*VERSION)], "close", "closed the connection before the API was open", id="untrusted"),
        pytest.param([frame(*VERSION)], "reset", "closed the connection before the API was open", id="reset"),
        pytest.param([frame("156", "t")], "silent", "speaks protocol version 156; known are 157 to", id="old version"),
        pytest.param([frame("999", "t")], "silent", "speaks protocol version 999", id="version that nobody asked for"),
        pytest.param([frame("abc", "t")], "silent", "does not speak TWS's protocol|can't be read", id="no version"),
        pytest.param([b"HTTP/1.1 400 Bad Request\r\n"], "silent", "does not speak TWS's protocol", id="HTTP"),
        pytest.param([b"SSH-2.0-OpenSSH_9.2\r\n"], "silent", "does not speak TWS's protocol", id="ssh"),
        pytest.param([b"\xff\xff\xff\xff"], "silent", "does not speak TWS's protocol", id="endless frame"),
        pytest.param(
            [frame(*VERSION), frame(*ACCOUNTS) + frame("9", "1", "seven")], "silent", "can't be read.*seven", id="no id"
        ),
        pytest.param(
            [frame(*VERSION), frame(*ACCOUNTS) + frame("9", "1", "7")], "close", "the venue closed it", id="in the read"
        ),
    ],
)
def test_what_is_wrong_is_told_at_once(answers: list[bytes], ends: str, said: str) -> None:
    """A closed socket, another protocol, another version, fields that are none: named, and no time-out passes."""
    with peer(*answers, ends=ends) as port:
        found = refusal(port, AT_ONCE)
    assert not isinstance(found, VenueSilent)
    assert re.search(said, found.what)
    assert found.todo


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        pytest.param([], "said nothing", id="nothing"),
        pytest.param([frame(*VERSION)[:7]], "its first answer has no end", id="half a frame"),
        pytest.param([frame(*VERSION)], "its version, and no account", id="a dialog"),
        pytest.param([frame(*VERSION), frame(*ACCOUNTS) + frame("9", "1", "7")], "asked for openOrderEnd", id="a hang"),
    ],
)
def test_silence_is_given_up_in_time_and_says_where_it_began(answers: list[bytes], said: str) -> None:
    """Whoever takes the connection and then says nothing is silent; what it had said tells what to look for."""
    with peer(*answers) as port:
        found = refusal(port, 0.5)
    assert isinstance(found, VenueSilent)
    assert said in found.what
    assert found.todo


def test_connection_to_nowhere_is_given_up_in_time() -> None:
    """A listener that takes no more connections (its backlog is full) is a silence, too."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for each in (first, second):
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        assert isinstance(refusal(full.getsockname()[1], 0.5), VenueSilent)


def test_malformed_fields_later_make_the_line_doubtful(venue: Callable[..., VenueDesk]) -> None:
    """A frame that the client can't even take apart (a message id that is no number) is not passed over."""
    broker = venue().broker()

    async def receive() -> None:
        broker.connection.client.conn.hasData.emit(frame("not a number", "1"))

    broker.connection.run(receive())
    until(lambda: "can't be read" in broker.link_state().down, "the doubt")
