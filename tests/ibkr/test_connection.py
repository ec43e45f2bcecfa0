"""The connection: who answers, what a silence means, and what is read anew after it was lost."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from aurora.errors import VenueRefusal, VenueSilent
from aurora.ibkr import connection as module
from aurora.ibkr.address import Address
from aurora.ibkr.broker import IbkrBroker
from aurora.ibkr.connection import Connection
from aurora.ibkr.contracts import Contracts
from aurora.ibkr.handshake import ClientIdInUse
from tests.ibkr.desk import ACCOUNT, VenueDesk, until

Start = Callable[..., VenueDesk]


@contextmanager
def listener(answer: bytes = b"") -> Iterator[int]:
    """Listen at a free port, send `answer` to whoever comes, and say nothing else."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept: list[socket.socket] = []

        def serve() -> None:
            try:
                while True:
                    client, _ = server.accept()
                    kept.append(client)
                    client.sendall(answer)
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for client in kept:
            client.close()


def opened(port: int, timeout_s: float = 1.0) -> None:
    """Open a broker at a port, and close it."""
    connection = Connection(Address("127.0.0.1", port, 1, ACCOUNT, 0, timeout_s))
    IbkrBroker(connection, Contracts(connection))
    try:
        connection.open()
    finally:
        connection.close()


def test_nothing_listens() -> None:
    """A port where nothing listens is refused at once, in words, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(VenueRefusal, match="nothing listens there") as caught:
        opened(port)
    assert "start TWS or IB Gateway" in caught.value.todo


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="silence"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="another protocol"),
        pytest.param(b"\0\0\0\x08garbage\0", id="garbage in a frame"),
        pytest.param(b"\xff\xff\xff\xff" + b"x" * 100, id="endless frame"),
    ],
)
def test_what_is_no_gateway_is_given_up_within_the_timeout(answer: bytes) -> None:
    """A port that accepts and says nothing, or speaks something else, ends in words within its time."""
    with listener(answer) as port, pytest.raises(VenueRefusal) as caught:
        opened(port)
    assert caught.value.what
    assert caught.value.todo


def test_client_id_in_use_is_named_at_once(venue: Start) -> None:
    """326 is an error of its own, and not a time-out; the other client goes on."""
    desk = venue()
    first = desk.broker(client=7)
    with pytest.raises(ClientIdInUse, match="client 7"):
        desk.broker(client=7, timeout_s=60)
    assert first.positions() == ()


def test_requests_that_read_only_refuses_are_refusals_at_once(venue: Start) -> None:
    """TWS refuses with a message of no number (321, Read-Only API): the reason is told, and nobody waits for an end."""
    refusal = {"notice": {"code": 321, "text": "The API interface is in Read-Only mode", "to": "client"}}
    desk = venue({"on": "req_completed_orders", "do": ["ignore", refusal]})
    with pytest.raises(VenueRefusal, match="Read-Only mode") as caught:
        desk.broker(timeout_s=60)
    assert "has to be off" in caught.value.todo


def test_account_of_another_login_is_refused(venue: Start) -> None:
    """Exactly the profile's account, or none: orders never go to another one."""
    with pytest.raises(VenueRefusal, match="manages DU999; the profile's account is DU1234567"):
        venue(account="DU999").broker()


def test_lost_connection_is_made_again_and_read_anew(venue: Start) -> None:
    """A restart of the gateway: the link is down, reads are refused, and after the reconnect all is read anew."""
    desk = venue({"at_s": 1, "do": [{"restart": {"for_s": 2}}]})
    broker = desk.broker()
    before = broker.connection.epoch
    desk.gateway.advance(1)
    until(lambda: "was lost" in broker.link_state().down, "the loss")
    with pytest.raises(VenueRefusal, match="has not told all"):
        broker.positions()
    desk.gateway.advance(3)
    until(lambda: broker.positions() == (), "the reconnect")
    until(lambda: not broker.link_state().down, "the link")
    assert broker.connection.epoch > before


def test_half_open_socket_is_found_out(venue: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that says nothing and is not closed: the silence is asked about, and the link is made anew."""
    monkeypatch.setattr(module, "QUIET_S", 0.5)
    desk = venue({"after": "connect", "wait_s": 1, "do": ["half_open"]})
    broker = desk.broker(timeout_s=1)
    epoch = broker.connection.epoch
    desk.gateway.advance(1)
    until(lambda: broker.connection.epoch > epoch, "the end of the silence")


def test_question_that_is_asked_twice_and_never_answered_is_silence_for_both(venue: Start) -> None:
    """Who asks while somebody else waits for the same answer is told of the silence, too: it is no fault of ours."""
    desk = venue({"on": "req_all_open_orders", "nth": 2, "times": 5, "do": ["ignore"]})
    broker = desk.broker(timeout_s=1)

    def ask() -> Any:
        return broker.connection.ask("openOrderEnd", lambda client: client.reqAllOpenOrders())

    async def both() -> list[BaseException | None]:
        first = asyncio.ensure_future(ask())
        await asyncio.sleep(0.5)
        return list(await asyncio.gather(first, ask(), return_exceptions=True))

    assert [type(each) for each in broker.connection.run(both(), 5)] == [VenueSilent, VenueSilent]


@pytest.mark.parametrize("state", ["kept", "lost"])
def test_link_of_tws_that_goes_and_comes(venue: Start, state: str) -> None:
    """1100, then 1101 or 1102: down meanwhile, and up only after everything was read again."""
    desk = venue({"at_s": 1, "do": [{"link": {"state": "down"}}]}, {"at_s": 5, "do": [{"link": {"state": state}}]})
    broker = desk.broker()
    desk.gateway.advance(2)
    until(lambda: broker.link_state().down.startswith("1100"), "1100")
    desk.gateway.advance(4)
    until(lambda: not broker.link_state().down, "the link")


def test_farm_that_blips_is_down_until_it_is_back(venue: Start) -> None:
    """2103 is a line that is down, 2104 one that is back."""
    desk = venue({"at_s": 1, "do": [{"farm": {"state": "broken"}}]}, {"at_s": 3, "do": [{"farm": {"state": "ok"}}]})
    broker = desk.broker()
    desk.gateway.advance(1.5)
    until(lambda: "farm" in broker.link_state().down, "2103")
    desk.gateway.advance(2)
    until(lambda: not broker.link_state().down, "2104")


def test_two_clients_do_not_hear_each_others_ends(venue: Start) -> None:
    """Two connections in one process are two: closing one leaves the other as it is."""
    desk = venue()
    first, second = desk.broker(client=1), desk.broker(client=2)
    first.close()
    first.close()
    assert second.cash() > 0
    with pytest.raises(VenueRefusal, match="closed"):
        first.cash()


def test_requests_are_paced_and_cancels_are_not(venue: Start) -> None:
    """100 ms between messages (the profile's); a cancel behind many requests does not wait for them."""
    desk = venue()
    broker = desk.broker(spacing_s=0.1)
    began = time.monotonic()
    refresh = threading.Thread(target=broker.refresh)
    refresh.start()
    broker.cancel_all()
    cancelled = time.monotonic() - began
    refresh.join()
    assert cancelled < time.monotonic() - began
    assert time.monotonic() - began >= 0.3  # five requests, at least 100 ms apart


def test_malformed_message_makes_the_link_doubtful(venue: Start) -> None:
    """What the library only logs and forgets is a line that is down: nothing of it may be taken for the whole truth."""
    broker = venue().broker()

    async def interpret() -> None:
        broker.connection.client.decoder.interpret(["5", "not", "an", "order"])

    broker.connection.run(interpret())
    assert "can't be read" in broker.link_state().down
