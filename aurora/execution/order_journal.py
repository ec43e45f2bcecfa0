"""The order journal: each order on disk before its bytes go out, and all that the venue ever said of it.

One file for an account, mode, venue and trading day, `orders/live-paper-DU123/2026-01-05.jsonl`: sessions of many runs
share it, and it must outlive them all, so it lies in no run's folder. The lines are those of `aurora.journal`:

    day.opened       mode, venue, account, day, carried_pnl_usd, high_water_usd, unlocked, unresolved (orders of earlier
                     days without an end, in words)
    days.resolved    unlock: a person unlocked the mode after that, with what became of them as the root cause
    session.joined   session, capital_usd
    order.intent     ref, symbol, side, quantity, limit, type, decided, decision_mid, opens, held (signed shares of the
                     symbol that were reckoned with): synced before the order is sent
    order.state      ref, status, filled, reason: what the venue said, or UNKNOWN and why
    fill             ref, symbol, side, quantity, price, fee (null: not told yet), at, execution_id, revision
    fill.corrected, fill.commission   the same fill again, as it is now
    high_water       pnl_usd, unlocked
    book.lost        (nothing): what was held counts as sold at the last price it traded at
    position.adopted symbol, quantity (signed shares more than the record explains), price: what a flatten found there
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from aurora.clock import Clock
from aurora.errors import JournalWriteError, LockHeld, RecordError
from aurora.execution.trading_day import TradingDay, order_as_json
from aurora.journal import Event, Journal, plain, read_journal
from aurora.market.order import Fill, Order, OrderState, OrderStatus
from aurora.market.position import Position

ORDERS = "orders"
_LOCK = "held.lock"


@dataclass(frozen=True)
class Book:
    """Whose orders a journal holds, and of which exchange day."""

    mode: str
    venue: str
    account: str
    day: date

    @property
    def folder_name(self) -> str:
        """Return the name of the account's folder."""
        return re.sub(r"[^A-Za-z0-9.-]", "_", f"{self.mode}-{self.venue}-{self.account}")

    def path(self, root: Path) -> Path:
        """Return where the day's journal is."""
        return root / ORDERS / self.folder_name / f"{self.day}.jsonl"


@dataclass
class News:
    """What fills told: those not on record before, and what can't be (a foreign order, two fills of one id)."""

    fills: list[Fill] = field(default_factory=list)
    anomalies: list[str] = field(default_factory=list)


class OrderJournal:
    """One day's orders: intend → (the router sends) → told* and take_fills* → close. `day` is what they add up to.

    What is told of an order that was sent is never lost for want of disk: `day` takes it in all the same, and
    `broken` says that the file has not.
    """

    def __init__(
        self, journal: Journal | _NoDisk, events: Iterable[Event], release: Callable[[], None] = lambda: None
    ) -> None:
        self.day = TradingDay()
        self.broken: JournalWriteError | None = None
        self._journal = journal
        self._release = release
        self._odd: set[str] = set()
        self._taken: dict[str, Fill] = {}
        for event in events:
            self.day.apply(event)

    @property
    def path(self) -> Path:
        """Return the journal's file."""
        return self._journal.path

    @classmethod
    def create(cls, path: Path, book: Book, clock: Clock) -> OrderJournal:
        """Begin the journal of a day that no other session shares, at `path`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        return cls(Journal.create(path, clock), ())._begin(book, TradingDay())

    @classmethod
    def open(cls, root: Path, book: Book, clock: Clock) -> OrderJournal:
        """Open the day's journal under `root`, or begin it with what the last day left.

        Raises LockHeld when another session has it, JournalDamaged when it does not hold together.
        """
        folder = root / ORDERS / book.folder_name
        release = _lock(folder)
        try:
            path = book.path(root)
            if path.exists() and path.stat().st_size:
                journal, events = Journal.resume(path, clock)
                return cls(journal, events, release)
            path.unlink(missing_ok=True)  # made, and nothing written: the machine died in between
            return cls(Journal.create(path, clock), (), release)._begin(book, _last_day(folder, book.day))
        except BaseException:
            release()
            raise

    @classmethod
    def unrecorded(cls, why: JournalWriteError) -> OrderJournal:
        """Return a journal that no disk keeps: the way out of a position does not wait for one (trading rule 5)."""
        return cls(_NoDisk(why), ())

    def join(self, session: str, capital_usd: Decimal, equity_usd: Decimal) -> Decimal:
        """Note that a session begins; return its capital in USD (trading rule 9).

        capital_usd: the profile's. equity_usd: what the account is worth now; only the day's first session asks for it.
        """
        known = self.day.capital_usd
        frozen = min(capital_usd, equity_usd if known is None else known)
        self._write("session.joined", {"session": session, "capital_usd": frozen}, must=True)
        return frozen

    def resolve_days(self, unlock: str) -> list[str]:
        """Return the orders of earlier days whose end nobody knows; an unlock since this day began has closed them.

        unlock: when the mode was last unlocked: its root cause, signed where money is real, is the person's word.
        """
        if self.day.unresolved and unlock > self.day.opened_at:
            self._write("days.resolved", {"unlock": unlock}, must=True)
        return list(self.day.unresolved)

    def lose_book(self) -> None:
        """Note that a simulated book has gone with the session that kept it, orders and positions alike."""
        for ref in self.day.open_refs():
            state = self.day.orders[ref]
            filled, reason = self.day.filled(ref), "the simulated book ended with its session"
            self.told(replace(state, status=OrderStatus.CANCELLED, filled=filled, reason=reason))
        if any(self.day.holdings.values()):
            self._write("book.lost", {})

    def adopt(self, positions: Iterable[Position], *, only_held: bool = False) -> list[str]:
        """Note what an account holds beyond what the record explains, so that closing it is explained; say what it was.

        Only of symbols without an order whose end is open: what those make of a position is not known yet.
        only_held: only of symbols that it does hold.
        """
        open_symbols = {self.day.orders[ref].order.symbol for ref in self.day.open_refs()}
        found = []
        held = {position.symbol: position for position in positions}
        for symbol in sorted({*held, *(() if only_held else self.day.holdings)} - open_symbols):
            position = held.get(symbol)
            more = (0 if position is None else position.quantity) - self.day.holdings.get(symbol, 0)
            if more:
                price = self.day.last_prices.get(symbol, Decimal(0)) if position is None else position.average_cost
                self._write("position.adopted", {"symbol": symbol, "quantity": more, "price": price})
                found.append(f"{more} {symbol}")
        return found

    def intend(self, order: Order, *, opens: bool, held: int, must: bool = True) -> None:
        """Put an order on disk before it is sent. Raises JournalWriteError, unless the way out must not wait for it.

        held: signed shares of the symbol that are reckoned with.
        """
        self._write("order.intent", order_as_json(order, opens=opens, held=held), must=must, sync=True)

    def told(self, state: OrderState) -> None:
        """Note what the venue said of an order that was intended."""
        known = self.day.orders[state.order.ref]
        if (known.status, known.filled) != (state.status, state.filled):
            data = {"ref": state.order.ref, "status": state.status, "filled": state.filled, "reason": state.reason}
            self._write("order.state", data)

    def doubt(self, ref: str, reason: str) -> None:
        """Note that sending failed: nobody knows whether the venue has the order."""
        filled = self.day.filled(ref)
        self._write("order.state", {"ref": ref, "status": OrderStatus.UNKNOWN, "filled": filled, "reason": reason})

    def take_fills(self, fills: Iterable[Fill]) -> News:
        """Note what is new among the venue's executions, however late, often or corrected they come."""
        news = News()
        for fill in fills:
            if self._taken.get(fill.id) is fill:
                continue  # a venue tells the whole day's executions each time: the very same one needs no second look
            self._taken[fill.id] = fill
            known = self.day.fills.get(fill.id)
            if known is None:
                self._take_new(fill, news)
            elif fill.revision > known.revision:
                self._write("fill.corrected", vars(fill))
            elif fill.revision == known.revision and fill != known:
                self._take_again(fill, known, news)
        return news

    def mark(self, pnl_usd: Decimal, unlock: str = "") -> None:
        """Raise the high-water mark to a P&L above it; begin it anew there after an unlock that it does not know."""
        is_new = bool(unlock) and unlock != self.day.unlocked
        if is_new or pnl_usd > self.day.high_water_usd:
            self._write("high_water", {"pnl_usd": pnl_usd, "unlocked": unlock or self.day.unlocked})

    def close(self) -> None:
        """Give the file and its lock back."""
        self._journal.close()
        self._release()

    def _begin(self, book: Book, last: TradingDay) -> OrderJournal:
        carried = {
            "carried_pnl_usd": last.total_pnl_usd({}),
            "high_water_usd": last.high_water_usd,
            "unlocked": last.unlocked,
            "unresolved": [*last.unresolved, *(_unended(last.orders[ref], book.day) for ref in last.open_refs())],
        }
        self._write("day.opened", {**vars(book), "day": f"{book.day}", **carried}, must=True)
        return self

    def _take_new(self, fill: Fill, news: News) -> None:
        if fill.ref not in self.day.orders:
            self._say_once(news, fill, f"foreign execution {fill.id}: {_shown(fill)}, of an order that is not Aurora's")
            return
        self._write("fill", vars(fill))
        news.fills.append(fill)
        ordered, filled = self.day.orders[fill.ref].order.quantity, self.day.filled(fill.ref)
        if filled > ordered:
            news.anomalies.append(f"{fill.ref}: {filled} shares were filled, {ordered} were ordered")

    def _take_again(self, fill: Fill, known: Fill, news: News) -> None:
        if known.fee is None and fill.fee is not None and _but_for_fee(fill) == _but_for_fee(known):
            self._write("fill.commission", vars(fill))
        elif _but_for_fee(fill) != _but_for_fee(known):
            self._say_once(news, fill, f"two executions are called {fill.id}: {_shown(known)}, and {_shown(fill)}")

    def _say_once(self, news: News, fill: Fill, text: str) -> None:
        if fill.id not in self._odd:
            self._odd.add(fill.id)
            news.anomalies.append(text)

    def _write(self, type_: str, data: Mapping[str, Any], *, must: bool = False, sync: bool = False) -> None:
        try:
            event = self._journal.append(type_, data, sync=sync or must)
        except JournalWriteError as error:
            self.broken = self.broken or error
            if must:
                raise
            event = Event(0, "", type_, {key: _as_written(value) for key, value in data.items()})
        self.day.apply(event)


class _NoDisk:
    """A journal that can't be written, and says why."""

    path = Path(os.devnull)

    def __init__(self, why: JournalWriteError) -> None:
        self._why = why

    def append(self, _type: str, _data: Mapping[str, Any], *, sync: bool = True) -> Event:
        """Raise."""
        del sync
        raise self._why

    def close(self) -> None:
        """Do nothing."""


def holder(root: Path, book: Book) -> int | None:
    """Return the process that has the account's order journal open, None when there is none or nobody can tell."""
    return _holder_in(root / ORDERS / book.folder_name)


def holders(root: Path) -> list[tuple[str, int]]:
    """Return, for each account whose order journal a process has open, its folder's name and that process."""
    found = [(folder.name, _holder_in(folder)) for folder in sorted((root / ORDERS).glob("*"))]
    return [(name, pid) for name, pid in found if pid is not None]


def _holder_in(folder: Path) -> int | None:
    try:
        with (folder / _LOCK).open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read())
    except (OSError, ValueError):
        pass
    return None


def read_day(root: Path, book: Book) -> TradingDay:
    """Return what the day's journal says so far, also while a session writes it; an empty day where there is none.

    Raises JournalDamaged when it does not hold together.
    """
    path = book.path(root)
    return _read_day(path) if path.exists() else TradingDay()


def read_last_days(root: Path) -> list[tuple[str, str, TradingDay]]:
    """Return, for each account that has order journals, its folder's name, its last day, and what that adds up to."""
    paths = [max(folder.glob("*.jsonl"), default=None) for folder in sorted((root / ORDERS).glob("*"))]
    return [(path.parent.name, path.stem, _read_day(path)) for path in paths if path is not None]


def _unended(state: OrderState, day: date) -> str:
    order = state.order
    return f"{order.side} {order.quantity} {order.symbol} ({order.ref}), of before {day}, has no end on record"


def _as_written(value: object) -> object:
    return plain(value) if isinstance(value, Decimal | datetime) else value


def _last_day(folder: Path, day: date) -> TradingDay:
    before = max((path for path in folder.glob("*.jsonl") if path.stem < f"{day}"), default=None)
    return TradingDay() if before is None else _read_day(before)


def _read_day(path: Path) -> TradingDay:
    day = TradingDay()
    for event in read_journal(path).events:
        day.apply(event)
    return day


def _lock(folder: Path) -> Callable[[], None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644), "r+")
    except OSError as error:
        raise RecordError(f"The order journal {folder} can't be opened: {error.strerror}.") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise LockHeld(
            f"Another session writes the order journal {folder.name}.",
            means="two sessions would count one account's limits apart; nothing was traded",
            todo="wait until it ends, or stop it with Ctrl-C where it runs",
        ) from None
    with contextlib.suppress(OSError):  # a full disk: who holds it can't be told, and it is held all the same
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
    return file.close


def _but_for_fee(fill: Fill) -> tuple[object, ...]:
    return (fill.ref, fill.symbol, fill.side, fill.quantity, fill.price)


def _shown(fill: Fill) -> str:
    return f"{fill.side} {fill.quantity} {fill.symbol} at {fill.price} USD"
