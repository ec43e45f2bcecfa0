"""Bad bytes: the gateway answers as TWS does or closes that connection with a reason, and goes on serving others."""

from __future__ import annotations

import contextlib
import logging
import struct
from collections.abc import Callable, Iterator
from random import Random

import pytest

from aurora.gateway.faults import open_gateway
from aurora.gateway.running import RunningGateway, running
from aurora.gateway.scenario import Scenario
from aurora.quotes.dummy import DummyQuotes
from tests.gateway.kit import Raw, frame, order_fields, stock_fields

HELLO = b"API\0" + struct.pack(">I", 9) + b"v157..176"


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """What a gateway says; no test may leave a traceback in asyncio's log."""
    caplog.set_level(logging.ERROR, "asyncio")
    yield []
    assert not caplog.records, caplog.text


@pytest.fixture
def quiet(heard: list[str]) -> Iterator[RunningGateway]:
    """A gateway that takes any number of messages and says why each connection ended."""
    scenario = Scenario()
    with running(open_gateway(DummyQuotes(), ("SPY",), scenario), heard.append) as gateway:
        yield gateway


def still_serves(gateway: RunningGateway) -> None:
    """Assert that a new client is served."""
    client = Raw(gateway.port)
    client.start(client_id=99)
    client.send(49, 1)
    assert client.receive_until(49)[-1][0] == "49"
    client.close()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "began with"),
        (b"API\0" + b"\xff" * 8, "bytes"),
        (b"API\0\0\0\0\0", "bytes"),
        (b"API\0" + struct.pack(">I", 5) + b"hello", "versions were"),
        (b"API\0" + struct.pack(">I", 9) + b"v100..156", "speaks versions"),
        (b"API\0" + struct.pack(">I", 9) + b"v201..226", "speaks versions"),
        (HELLO + frame(49, 1), "before startApi"),
        (HELLO + frame(71, 2, "x", ""), "startApi could not be read"),
        (HELLO + frame(71), "startApi could not be read"),
        (HELLO + frame(71, 2, 1, "") + frame("x"), "no such request"),
        (HELLO + frame(71, 2, 1, "") + frame(9999, 1), "no such request"),
        (HELLO + frame(71, 2, 1, "") + struct.pack(">I", 3) + b"49\1", "NUL"),
        (HELLO + frame(71, 2, 1, "") + struct.pack(">I", 2) + b"\xff\0", "UTF-8"),
        (HELLO + frame(71, 2, 1, "") + struct.pack(">I", 1 << 30), "bytes"),
    ],
)
def test_what_is_no_protocol_ends_its_connection(
    quiet: RunningGateway, heard: list[str], data: bytes, reason: str
) -> None:
    """Each kind of garbage closes its own connection, and the gateway says why."""
    client = Raw(quiet.port)
    client.socket.sendall(data)
    assert client.ended()
    client.close()
    assert any(reason in line and "ended" in line for line in heard), heard
    still_serves(quiet)


def test_an_unknown_request_is_named_before_the_end(quiet: RunningGateway) -> None:
    """A message id that TWS does not know is answered with 505."""
    client = Raw(quiet.port)
    client.start()
    client.send(9999, 1)
    codes = []
    while "505" not in codes:
        fields = client.receive()
        codes += [fields[3]] if fields[0] == "4" else []
    assert client.ended()
    client.close()


@pytest.mark.parametrize(
    "request_",
    [
        (3, "x", *[""] * 30), (3, 1), (1, 11, 1, "x"), (9, 8, 1), (7, 3, "x"), (62, 1), (59, 1, 9), (4, 1, "one"),
        (6, 2, "maybe", ""), (3, 1, *stock_fields(), "", "", "BUY", "NaN", "LMT", "1", *[""] * 90),
    ],
)  # fmt: skip
def test_a_bad_field_is_answered(quiet: RunningGateway, request_: tuple[object, ...]) -> None:
    """A request with a field that can't be read gets 320, and the connection goes on."""
    client = Raw(quiet.port)
    client.start()
    client.send(*request_)
    client.send(49, 1)
    codes = [fields[3] for fields in client.receive_until(49) if fields[0] == "4"]
    assert codes[-1] == "320"
    client.close()


def test_a_request_cut_off_is_no_request(quiet: RunningGateway, heard: list[str]) -> None:
    """A connection that ends in the middle of an order leaves no order."""
    whole = frame(*order_fields(1, "BUY", 1, "LMT", 1))
    for cut in range(0, len(whole), 37):
        client = Raw(quiet.port)
        client.start()
        client.socket.sendall(whole[:cut])
        client.close()
        while not heard or "ended" not in heard[-1]:
            quiet.call(lambda: None)
        heard.clear()
    assert quiet.call(lambda: quiet.gateway.venue.orders) == []
    still_serves(quiet)


def test_random_requests_never_break_it(start_gateway: Callable[..., RunningGateway], heard: list[str]) -> None:
    """Five hundred orders with fields changed, left out and doubled at random end in answers, never in a traceback."""
    gateway = start_gateway({"scenario": "fuzz", "settings": {"max_messages_per_s": 1_000_000}})
    random = Random(5)
    junk = ["", "x", "-1", "0", "1e39", "NaN", "é", "1" * 300, "2147483647", "\\", "SPY", "Infinity", "²", "1" * 5000]
    client = Raw(gateway.port)
    client.start()
    for number in range(500):
        fields = order_fields(number + 1, random.choice(["BUY", "SELL"]), random.randint(-5, 50), "LMT", "100.00")
        for _ in range(random.randint(1, 6)):
            place = random.randrange(1, len(fields))
            change = random.choice(("set", "drop", "double"))
            fields[place : place + 1] = {"set": [random.choice(junk)], "drop": []}.get(change, [fields[place]] * 2)
        client.send(*fields)
    client.send(49, 1)
    client.receive_until(49)
    client.close()
    still_serves(gateway)


def test_random_bytes_never_break_it(quiet: RunningGateway) -> None:
    """Streams of random bytes behind a good handshake end their own connections only."""
    random = Random(6)
    for _ in range(50):
        client = Raw(quiet.port)
        client.start(client_id=random.randint(1, 10**6))
        with contextlib.suppress(ConnectionError):  # it may be ended before all was sent
            client.socket.sendall(random.randbytes(random.randint(1, 3000)))
        client.close()
    still_serves(quiet)


def test_a_connection_that_says_nothing_ends(start: Callable[..., RunningGateway]) -> None:
    """Who does not say startApi in time is let go; who has said it may be silent for ever."""
    gateway = start(handshake_s=0.2)
    silent, half, good = Raw(gateway.port), Raw(gateway.port), Raw(gateway.port)
    good.start()
    half.socket.sendall(HELLO)
    assert silent.ended()
    assert half.ended()
    good.send(49, 1)
    assert good.receive_until(49)
    for each in (silent, half, good):
        each.close()


def test_a_client_that_does_not_read_is_let_go(start_gateway: Callable[..., RunningGateway]) -> None:
    """What waits for a client has a limit; another client is served meanwhile."""
    scenario = {"scenario": "deaf", "settings": {"max_waiting_bytes": 100_000, "max_messages_per_s": 1000}}
    gateway = start_gateway(scenario, symbols=tuple(f"S{number}" for number in range(20)))
    deaf = Raw(gateway.port)
    deaf.start()
    deaf.receive_until(9)
    for number in range(20):
        deaf.send(1, 11, number, *stock_fields(f"S{number}"), 0, "", 0, 0, "")
    for _ in range(60):
        gateway.advance(60)
        if not gateway.call(lambda: gateway.gateway.sessions):
            break
    assert not gateway.call(lambda: gateway.gateway.sessions)
    still_serves(gateway)
    deaf.close()
