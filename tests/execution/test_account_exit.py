from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aurora.brokers.base import Broker
from aurora.errors import VenueRefusal
from aurora.execution import takeover
from aurora.execution.account_exit import AccountExit
from aurora.execution.flatten import Flattening
from aurora.execution.order_journal import Book, OrderJournal
from aurora.journal import Journal
from aurora.market.position import Position
from aurora.quotes.base import QuoteSource
from tests.execution.unruly_venue import UnrulyVenue
from tests.trading import START, ScriptedQuotes, make_order, steady

BOOK = Book("live", "paper", "DU1", START.date())
HELD = {"SPY": 10, "TSLA": -7, "IBM": 300}


class Killed(BaseException):
    """Stands for a SIGKILL in one process and in virtual time."""


@dataclass
class Desk:
    """An account at an unruly venue, and how to flatten it."""

    root: Path
    seed: int = 0
    calm_s: float = 0.0
    held: dict[str, int] = field(default_factory=lambda: dict(HELD))
    refusals: int = 0
    said: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.source = ScriptedQuotes(steady("99.99", "100.00"))
        self.source.subscribe(tuple(HELD))
        self.venue = UnrulyVenue(self.source.clock, self.seed, dict(self.held), self.calm_s)

    def connect(self, _stack: contextlib.ExitStack) -> tuple[Broker, QuoteSource]:
        """Connect, unless the venue is still refusing."""
        if self.refusals > 0:
            self.refusals -= 1
            raise VenueRefusal("Nothing listens at 127.0.0.1:4002.")
        return self.venue, self.source

    def flatten(self, patience_s: float | None = 600, **more: Any) -> Flattening:
        """Flatten the account."""
        return AccountExit(
            self.root, BOOK, self.source.clock, self.connect, self.said.append, self.alarms.append,
            patience_s=patience_s, **more,
        ).run()  # fmt: skip


def test_account_ends_flat_and_on_record(tmp_path: Path) -> None:
    """The whole account is flat by the venue's own book, and each order is in the day's journal with its end."""
    desk = Desk(tmp_path)
    assert desk.flatten().flat
    assert set(desk.venue.book.values()) == {0}
    orders = OrderJournal.open(tmp_path, BOOK, desk.source.clock)
    assert len(orders.day.orders) == 3
    assert orders.day.open_refs() == []
    orders.close()
    assert (len(desk.said), desk.alarms) == (1, [])


def test_flat_account_sends_nothing(tmp_path: Path) -> None:
    """An account without positions is flat at once."""
    desk = Desk(tmp_path, held={})
    done = desk.flatten()
    assert (done.flat, done.decisions) == (True, [])


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("seed", range(6))
def test_killed_at_every_write_it_goes_on_without_doubling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, when: str
) -> None:
    """Issue: killed at each journal write and started again, the account ends flat; nothing crosses or is doubled."""
    append = Journal.append
    dies_at = 1
    while True:
        desk = Desk(tmp_path / f"{dies_at}", seed, calm_s=20)
        desk.root.mkdir()
        writes = 0

        def dying(journal: Journal, *args: Any, dies_at: int = dies_at, **more: Any) -> Any:
            nonlocal writes
            writes += 1
            if writes == dies_at and when == "before":
                raise Killed
            event = append(journal, *args, **more)
            if writes == dies_at:
                raise Killed
            return event

        monkeypatch.setattr(Journal, "append", dying)
        with contextlib.suppress(Killed):
            desk.flatten()
        was_killed = writes >= dies_at
        monkeypatch.setattr(Journal, "append", append)
        done = desk.flatten()
        assert (done.flat, done.reason) == (True, "")
        assert set(desk.venue.book.values()) == {0}
        assert (dies_at, desk.venue.crossed, desk.venue.doubled) == (dies_at, [], [])
        if not was_killed:
            break
        dies_at += 1
    assert dies_at > 6


def test_unknown_order_of_a_killed_session_is_not_doubled(tmp_path: Path) -> None:
    """Rule 8: what a killed session meant and nobody knows counts as on its way until the venue has told."""
    desk = Desk(tmp_path, held={"SPY": 10})
    orders = OrderJournal.open(tmp_path, BOOK, desk.source.clock)
    orders.intend(make_order("0123456789ab-00001", quantity=10), opens=True, held=0)
    orders.close()
    done = desk.flatten()
    assert done.flat
    assert desk.venue.book == {"SPY": 0}


def test_venue_that_flaps_is_tried_again(tmp_path: Path) -> None:
    """A link that is down is tried again every two seconds; the first failure and each minute of it are told."""
    desk = Desk(tmp_path, refusals=40)
    assert desk.flatten().flat
    assert desk.alarms == ["nothing is flattened yet: Nothing listens at 127.0.0.1:4002."] * 2  # at 0 and 60 of 80 s


def test_venue_that_never_comes_is_not_flat(tmp_path: Path) -> None:
    """Nothing is assumed flat that could not be looked at."""
    desk = Desk(tmp_path, refusals=10**6)
    done = desk.flatten(patience_s=30)
    assert (done.flat, done.reason) == (False, "the venue was not reached within 30 s")


@pytest.mark.parametrize("trouble", ["read-only", "damaged", "a file in the way"])
def test_no_record_does_not_stop_the_exit(tmp_path: Path, trouble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue: a full or broken disk is said, and the account is flattened all the same."""
    desk = Desk(tmp_path)
    folder = tmp_path / "orders" / BOOK.folder_name
    if trouble == "damaged":
        folder.mkdir(parents=True)
        (folder / f"{BOOK.day}.jsonl").write_text("{}\n{}\n")
    elif trouble == "a file in the way":
        (tmp_path / "orders").write_text("")
    else:

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Journal, "create", full)
    assert desk.flatten().flat
    assert set(desk.venue.book.values()) == {0}
    assert desk.said[0].startswith("the orders of this flatten will be on no record: ")


def test_lock_folder_that_can_not_be_made_is_said(tmp_path: Path) -> None:
    """Where no lock can be taken, the flatten goes on and says that nobody can tell of a second one."""
    (tmp_path / "runlocks").write_text("")
    desk = Desk(tmp_path)
    assert desk.flatten().flat
    assert desk.said[0].startswith("nobody can tell whether another flatten is at work: ")


def test_second_flatten_waits_for_the_first_and_looks_then(tmp_path: Path) -> None:
    """Rule 22: a second flatten attaches to the first; when that one dies, it takes over."""
    desk = Desk(tmp_path)
    (tmp_path / "runlocks").mkdir()
    lock = os.open(tmp_path / "runlocks" / f"flatten-{BOOK.folder_name}.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    sleep = desk.source.clock.sleep

    def first_dies(seconds: float) -> None:
        sleep(seconds)
        if desk.source.clock.monotonic() > 5:
            fcntl.flock(lock, fcntl.LOCK_UN)

    desk.source.clock.sleep = first_dies  # type: ignore[method-assign]
    assert desk.flatten().flat
    assert desk.said[0] == "another flatten of this account is at work; this one waits for it, and looks then"
    assert desk.source.clock.monotonic() > 5
    os.close(lock)


def test_second_flatten_gives_up_with_its_patience(tmp_path: Path) -> None:
    """A flatten that waited in vain is not flat, and says why."""
    desk = Desk(tmp_path)
    (tmp_path / "runlocks").mkdir()
    lock = os.open(tmp_path / "runlocks" / f"flatten-{BOOK.folder_name}.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    done = desk.flatten(patience_s=5)
    os.close(lock)
    assert (done.flat, done.reason) == (False, "another flatten of this account is at work, and was not waited for")


def test_session_that_can_not_be_stopped_does_not_stop_the_exit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal that stays held by somebody who can't be ended is gone without; that is said."""
    desk = Desk(tmp_path)
    monkeypatch.setattr(takeover, "holder", lambda *_: None)
    held = OrderJournal.open(tmp_path, BOOK, desk.source.clock)
    assert desk.flatten().flat
    assert "on no record" in desk.said[0]
    held.close()


def test_person_can_stop_it_while_it_connects(tmp_path: Path) -> None:
    """Rule 22: Ctrl-C ends a flatten at any point."""
    desk = Desk(tmp_path, refusals=10**6)
    assert not desk.flatten(patience_s=None, is_stopping=lambda: desk.source.clock.monotonic() > 9).flat


def test_what_was_there_before_is_explained(tmp_path: Path) -> None:
    """Positions that no recorded order explains are put on record before they are closed: the day ends explained."""
    desk = Desk(tmp_path)
    desk.flatten()
    assert desk.said == ["held, and explained by no recorded order: 300 IBM, 10 SPY, -7 TSLA"]
    with contextlib.closing(OrderJournal.open(tmp_path, BOOK, desk.source.clock)) as orders:
        assert set(orders.day.holdings.values()) == {0}


def test_venue_that_tells_a_part_explains_nothing_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail closed: what the record holds and a first answer leaves out is asked for again, and closed when told."""
    desk = Desk(tmp_path, held={"SPY": 10})
    orders = OrderJournal.open(tmp_path, BOOK, desk.source.clock)
    orders.adopt([Position("SPY", 10, Decimal(100))])
    orders.close()
    reads, told = type(desk.venue).positions, [0]

    def positions(venue: Any) -> Any:
        told[0] += 1
        return () if told[0] < 4 else reads(venue)

    monkeypatch.setattr(type(desk.venue), "positions", positions)
    done = desk.flatten()
    assert (done.flat, done.drift, desk.venue.book) == (True, "", {"SPY": 0})
