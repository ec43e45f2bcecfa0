"""The clock against outside clocks: real datagrams on loopback, answers of every kind, and chrony's own word."""

from __future__ import annotations

import shutil
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from aurora.housekeeping.drift import read_drift

_EPOCH = 2_208_988_800
"""Seconds from 1900, where NTP counts from, to 1970."""


def answer(request: bytes, offset: float, leap: int = 0, stratum: int = 2) -> bytes:
    """Return what an NTP server says whose clock is `offset` seconds ahead (RFC 5905, 7.3)."""
    now = time.time() + _EPOCH + offset
    stamp = struct.pack("!II", int(now), int((now % 1) * 2**32))
    head = struct.pack("!BBbb", leap << 6 | 4 << 3 | 4, stratum, 4, -20) + struct.pack("!II4s", 0, 0, b"LOCL")
    return head + stamp + request[40:48] + stamp + stamp


@contextmanager
def server(reply: Callable[[bytes], bytes | None]) -> Iterator[str]:
    """Yield the address of a server that answers each datagram with `reply`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                data, sender = channel.recvfrom(1000)
                if data == b"end":
                    return
                if (said := reply(data)) is not None:
                    channel.sendto(said, sender)

        thread = threading.Thread(target=serve)
        thread.start()
        address = channel.getsockname()
        try:
            yield f"127.0.0.1:{address[1]}"
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ending:
                ending.sendto(b"end", address)
            thread.join()


@pytest.fixture(autouse=True)
def no_chrony(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that is all of PATH: chrony is there only where a test puts it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("offset", [5.0, -5.0, 3600.0])
def test_an_outside_clock_that_differs_is_seen(offset: float) -> None:
    """The drift is the outside clock's difference, either way; who said so is named with the sign."""
    with server(lambda request: answer(request, offset)) as address:
        found = read_drift([address])
    assert found.known
    assert found.drift_s is not None
    assert abs(found.drift_s - Decimal(abs(offset))) < 1
    assert found.answered[0].startswith(f"{address}: {'+' if offset > 0 else '-'}")


def test_the_worst_of_those_that_answer_counts() -> None:
    """One clock that agrees does not outvote one that differs."""
    with (
        server(lambda request: answer(request, 0)) as good,
        server(lambda request: answer(request, 60)) as bad,
    ):
        found = read_drift([good, bad])
    assert len(found.answered) == 2
    assert found.drift_s is not None
    assert found.drift_s > 50


@pytest.mark.parametrize(
    "reply",
    [
        lambda request: answer(request, 0, leap=3),
        lambda request: answer(request, 0, stratum=0),
        lambda request: answer(request, 0, stratum=16),
        lambda request: b"hello",
        lambda request: b"",
        lambda request: None,
    ],
)
def test_who_does_not_know_the_time_does_not_count(reply: Callable[[bytes], bytes | None]) -> None:
    """An unsynchronised server, garbage or silence is no answer: the drift is unknown, and that is never green."""
    with server(reply) as address:
        found = read_drift([address], timeout_s=0.3)
    assert (found.known, found.drift_s, found.answered) == (False, None, [])
    assert found.silent[0].startswith(address)


@pytest.mark.parametrize("name", ["no.such.host.invalid", "127.0.0.1:x", "127.0.0.1:99999", ""])
def test_a_server_that_is_none_is_named(name: str) -> None:
    """No network, no such host, a slip in the profile: a named line, never a traceback."""
    found = read_drift([name], timeout_s=0.3)
    assert not found.known
    assert found.silent[0].startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("says", "drift", "line"),
    [
        ("A,1.2.3.4,3,1700000000.1,0.25,0,0,0,0,0,0,0,64,Normal", Decimal("0.25"), ""),
        ("A,1.2.3.4,3,1700000000.1,-3.5,0,0,0,0,0,0,0,64,Normal", Decimal("3.5"), ""),
        ("A,,0,0.0,0.0,0,0,0,0,0,0,0,0,Not synchronised", None, "keeps no time"),
        ("506 Cannot talk to daemon", None, "no answer"),
        ("A,1.2.3.4,3,1,nan,0,0,0,0,0,0,0,64,Normal", None, "offset was 'nan'"),
        ("A,1.2.3.4,3,1,x,0,0,0,0,0,0,0,64,Normal", None, "offset was 'x'"),
    ],
)
def test_chronys_own_word_counts_when_it_keeps_time(
    no_chrony: Path, says: str, drift: Decimal | None, line: str
) -> None:
    """What chrony says of the system clock is one more answer; one that is not synchronised says nothing."""
    program = no_chrony / "chronyc"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(stat.S_IRWXU)
    found = read_drift([])
    assert found.drift_s == drift
    assert line in "".join(found.silent)


def test_debians_chrony_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A real chronyd that serves its own clock agrees with this machine within a second."""
    monkeypatch.setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    program = shutil.which("chronyd")
    if program is None:
        pytest.skip("there is no chrony here (apt-get install chrony)")
    import subprocess  # noqa: PLC0415 - only where there is one

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "chrony.conf").write_text(
        f"port {port}\nlocal stratum 5\nallow 127.0.0.1\nbindaddress 127.0.0.1\ncmdport 0\nbindcmdaddress /\n"
        f"pidfile {tmp_path}/pid\n"
    )
    command = [program, "-x", "-d", "-u", "root", "-f", str(tmp_path / "chrony.conf")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as daemon:
        try:
            end = time.monotonic() + 20
            found = read_drift([f"127.0.0.1:{port}"], timeout_s=0.5)
            while not any(line.startswith("127") for line in found.answered) and daemon.poll() is None:
                if time.monotonic() > end:
                    break
                found = read_drift([f"127.0.0.1:{port}"], timeout_s=0.5)
        finally:
            daemon.terminate()
    if daemon.returncode not in (0, -15):
        pytest.skip(f"chronyd can't run here: exit {daemon.returncode}")
    assert found.answered, found.silent
    assert found.drift_s is not None
    assert found.drift_s < 1
