"""`invoke flatten` over the wire, killed at every line of its order journal and started again."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from aurora.execution.order_journal import ORDERS
from tests.ibkr.desk import ACCOUNT, VenueDesk
from tests.trading import ROOT

HELD = [
    {"symbol": "SPY", "quantity": 400, "average_cost": 100},
    {"symbol": "TSLA", "quantity": -7, "average_cost": 100},
]
PROFILE = "extends: live_canary\nvenue: paper\nlive: false\nsecrets: []\nalerts: {push: false}\n"


def start(project: Path, desk: VenueDesk) -> subprocess.Popen[str]:
    """Start a flatten of the desk's account."""
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "BROKER": "ibkr", "IB_HOST": "127.0.0.1",
        "IB_PORT": str(desk.gateway.port), "IB_CLIENT_ID": "11", "IB_ACCOUNT": ACCOUNT,
    }  # fmt: skip
    command = [sys.executable, "-m", "aurora", "flatten", "--profile", "wire", "--minutes", "2"]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=project, env=environment, text=True, **pipes)  # type: ignore[call-overload, no-any-return]


def lines(project: Path) -> int:
    """Return how many lines the account's order journal has."""
    return sum(path.read_bytes().count(b"\n") for path in (project / ORDERS).rglob("*.jsonl"))


@contextlib.contextmanager
def trading(desk: VenueDesk) -> Iterator[None]:
    """Let the market tick: a price that stands still gets too old to sell at."""
    ended, numbers = threading.Event(), count()

    def tick() -> None:
        while not ended.wait(0.3):
            bid_size = 500 + next(numbers) % 2
            for symbol in ("SPY", "TSLA"):
                desk.quotes.set(symbol, bid_size=bid_size)
            desk.gateway.advance(0.3)

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize(
    "dies_at", [1, 5, *(pytest.param(line, marks=pytest.mark.nightly) for line in (2, 3, 4, 6, 7, 8, 9, 10, 11))]
)
def test_killed_at_each_line_it_ends_flat_and_nothing_is_doubled(
    tmp_path: Path, venue: Callable[..., VenueDesk], dies_at: int
) -> None:
    """Issue: flatten killed at every journal write and started again: the venue's own book ends flat, none crossed."""
    (tmp_path / "profiles").mkdir()
    for path in (ROOT / "profiles").glob("*.*"):
        (tmp_path / "profiles" / path.name).symlink_to(path)
    (tmp_path / "profiles/wire.yaml").write_text(PROFILE)
    (tmp_path / "runbooks").mkdir()
    desk = venue(positions=HELD)
    with trading(desk):
        with start(tmp_path, desk) as process:
            while process.poll() is None and lines(tmp_path) < dies_at:
                time.sleep(0.002)
            process.kill()
            process.communicate(timeout=60)
        with start(tmp_path, desk) as last:
            try:
                said, _ = last.communicate(timeout=100)
            finally:
                last.kill()
    assert (last.returncode, "✔ flat" in said) == (0, True), said
    refs, moves = desk.gateway.call(lambda: book_of(desk))
    assert len(refs) == len(set(refs))
    for held in HELD:
        position = int(str(held["quantity"]))
        for symbol, shares in moves:
            if symbol == held["symbol"]:
                position, before = position + shares, position
                assert position * before >= 0, moves
        assert position == 0


def book_of(desk: VenueDesk) -> tuple[list[str], list[tuple[str, int]]]:
    """Return the refs that reached the venue, and each trade's symbol and signed shares, oldest first."""
    venue = desk.gateway.gateway.venue
    moves = [(fill.order.listing.symbol, fill.order.side.sign * fill.quantity) for fill in venue.executions]
    return [order.ref for order in venue.orders], moves
