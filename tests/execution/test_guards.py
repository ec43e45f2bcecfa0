"""Each guard of the router alone stops an order that passes all others; taken away, that very order goes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

import aurora.execution.router as door_of_orders
from aurora.brokers.simulated import SimulatedBroker
from aurora.execution.order_journal import Book, OrderJournal
from aurora.execution.router import Decision, Router, Stage
from aurora.market.mode import Mode
from aurora.market.order import Order, OrderState, OrderStatus, Side
from aurora.market.quote import Quote
from aurora.risk import limits as limits_of_orders
from aurora.risk import tripwires as wires_of_quotes
from aurora.risk.kill_switch import KillSwitch
from aurora.risk.limits import OrderLimits
from aurora.risk.tripwires import TripwireLimits
from tests.trading import ScriptedQuotes, make_order, make_orders, make_quote, steady

MUCH = Decimal(1_000_000)
LOOSE = OrderLimits(MUCH, MUCH, MUCH, Decimal(10), MUCH, MUCH, MUCH, 1000, 1000)
WIRES = TripwireLimits(Decimal("1.5"), Decimal(50))


class Market:
    """A door with room for everything: what a test makes tight is the only thing that can stop an order."""

    def __init__(self, project: Path) -> None:
        self.source = ScriptedQuotes(steady())
        self.source.subscribe(["SPY"])
        self.broker = SimulatedBroker(
            quote_of=lambda symbol: self.source.poll()[symbol], clock=self.source.clock, cash=MUCH
        )
        self.kill = KillSwitch(project)
        self.orders = make_orders(project / "orders.jsonl", self.source.clock)
        self.objection = self.lockout = ""
        self.limits = LOOSE
        self.order = make_order(quantity=5)
        self.quote: Quote | None = None
        self.ways_out = False

    def hold(self, quantity: int) -> None:
        """Hold shares already, bought in one fill."""
        self.router().route(make_order("held", quantity=quantity), self.source.poll()["SPY"])
        self.source.clock.sleep(0.5)
        assert [held.quantity for held in self.broker.positions()] == [quantity]
        self.orders.told(self.broker.orders()[0])
        self.orders.take_fills(self.broker.executions())

    def router(self) -> Router:
        """Return the door as it stands now."""
        return Router(
            mode=Mode.LIVE, broker=self.broker, clock=self.source.clock, kill_switch=self.kill,
            lockout=lambda: self.lockout, tripwires=WIRES, limits=self.limits, objection=self.objection,
            orders=self.orders,
        )  # fmt: skip

    def offer(self) -> Decision:
        """Offer the order, with the quote that the test gave it or that of now."""
        quote = self.source.poll()["SPY"] if self.quote is None else self.quote
        assert quote is not None
        order = replace(self.order, decided=self.source.clock.now())
        router = self.router()
        return router.reduce(order, quote, Decimal(10)) if self.ways_out else router.route(order, quote)


def tight(name: str, value: object) -> Callable[[Market], None]:
    """Return what makes one limit tight."""

    def make(market: Market) -> None:
        market.limits = replace(LOOSE, **{name: value})  # type: ignore[arg-type]

    return make


def quoted(**values: object) -> Callable[[Market], None]:
    """Return what gives the order another quote."""

    def make(market: Market) -> None:
        market.quote = make_quote(**values)  # type: ignore[arg-type]

    return make


def ordered(**values: object) -> Callable[[Market], None]:
    """Return what offers another order."""

    def make(market: Market) -> None:
        market.order = make_order(**values)  # type: ignore[arg-type]

    return make


def kill(market: Market) -> None:
    """Set the kill flag."""
    market.kill.flag.touch()


def aged(market: Market) -> None:
    """Let the quote grow old on its way."""
    market.quote = make_quote()
    market.source.clock.sleep(1.6)


def used(market: Market) -> None:
    """Use the order's ref, and let it end."""
    market.router().route(market.order, market.source.poll()["SPY"])
    market.source.clock.sleep(1)


def busy(market: Market) -> None:
    """Send an order within the last minute, where one is the limit."""
    market.hold(1)
    market.limits = replace(LOOSE, max_orders_per_min=1)


def rejected(market: Market) -> None:
    """Have an order of the day rejected, where one is the limit."""
    order = make_order("bad")
    market.orders.intend(order, opens=True, held=0)
    market.orders.told(OrderState(order, OrderStatus.REJECTED, reason="no"))
    market.limits = replace(LOOSE, max_day_rejects=1)


def paid(market: Market) -> None:
    """Pay a commission, where that is the cap of the day."""
    market.hold(1)
    market.limits = replace(LOOSE, daily_fee_cap_usd=Decimal(1))


def too_much_out(market: Market) -> None:
    """Sell more on the way out than is held."""
    market.hold(5)
    market.ways_out = True
    market.order = make_order(side=Side.SELL, quantity=6, limit="168.00")


def far_out(market: Market) -> None:
    """Sell far under the market on the way out."""
    market.hold(5)
    market.ways_out = True
    market.order = make_order(side=Side.SELL, quantity=5, limit="160.00")


@dataclass(frozen=True)
class Guard:
    """One guard: what makes an order wrong for it alone, where and why it is stopped, and how the guard goes away.

    gone: whose the guard is, what it is called, and what stands there when it is taken away.
    """

    name: str
    breaks: Callable[[Market], None]
    stage: Stage
    said: str
    gone: tuple[object, str, object]


NOTHING = lambda *_, **__: ()  # noqa: E731 - a check that finds nothing
NONE = lambda *_, **__: None  # noqa: E731 - a tripwire that never fires
FAR = timedelta(seconds=3)


def without(reason: str) -> Callable[..., tuple[str, ...]]:
    """Return the checks of an opening order without the one that says `reason`."""

    def checks(self: Router, order: Order, free: int) -> tuple[str, ...]:
        return tuple(said for said in CHECK_LIMITS(self, order, free) if reason not in said)

    return checks


CHECK_LIMITS = Router._check_limits
GUARDS = [
    Guard("grant", lambda market: setattr(market, "objection", "no grant"), Stage.GRANT, "no grant",
          (Market, "objection", "")),
    Guard("kill flag", kill, Stage.KILL, "the kill flag is set", (KillSwitch, "is_set", False)),
    Guard("lockout", lambda market: setattr(market, "lockout", "reject of a-0"), Stage.LOCKOUT, "reject of a-0",
          (Market, "lockout", "")),
    Guard("halt", quoted(halted=True), Stage.TRIPWIRES, "trading is halted", (wires_of_quotes, "_halted", NONE)),
    Guard("age", aged, Stage.TRIPWIRES,
          "quote age 1.600 s, limit 1.5 s", (wires_of_quotes, "_age", NONE)),
    Guard("future", lambda market: quoted(at=market.source.clock.now() + FAR)(market), Stage.TRIPWIRES,
          "quote 3.000 s in the future, limit 1.5 s", (wires_of_quotes, "_age", NONE)),
    Guard("spread", quoted(bid="160.00", ask="168.10"), Stage.TRIPWIRES, "limit 50 bps",
          (wires_of_quotes, "_spread", NONE)),
    Guard("crossed", quoted(bid="168.02", ask="168.01"), Stage.TRIPWIRES, "bid 168.02 above ask 168.01",
          (wires_of_quotes, "_sides", lambda _: [])),
    Guard("one side", quoted(bid=None), Stage.TRIPWIRES, "bid missing", (wires_of_quotes, "_sides", lambda _: [])),
    Guard("collar", ordered(limit="168.20"), Stage.LIMITS, "collar 10 bps",
          (door_of_orders, "check_collar", NOTHING)),
    Guard("cap a trade", tight("per_trade_notional_usd", Decimal(840)), Stage.LIMITS, "limit a trade 840.00 USD",
          (Router, "_check_limits", without("limit a trade"))),
    Guard("daily cap", tight("notional_daily_cap_usd", Decimal(1600)), Stage.LIMITS, "daily cap 1600.00 USD",
          (Router, "_check_limits", without("daily cap"))),
    Guard("daily fees", paid, Stage.LIMITS, "day's fees 1.00 USD, daily cap 1 USD",
          (Router, "_check_limits", without("day's fees"))),
    Guard("short sale", ordered(side=Side.SELL, limit="168.00"), Stage.LIMITS, "limit 0 short",
          (Router, "_check_limits", without("short sale"))),
    Guard("symbol", tight("max_symbol_exposure_usd", Decimal(840)), Stage.LIMITS, "exposure of SPY would be 840.50 USD",
          (Router, "_check_limits", without("exposure of SPY"))),
    Guard("gross", tight("max_gross_exposure_usd", Decimal(840)), Stage.LIMITS, "gross exposure would be 840.50 USD",
          (Router, "_check_limits", without("gross exposure"))),
    Guard("turnover", tight("max_session_turnover_usd", Decimal(1600)), Stage.LIMITS, "turnover would be 1697.81 USD",
          (Router, "_check_limits", without("turnover"))),
    Guard("order rate", busy, Stage.LIMITS, "1 orders in the last 60 s, limit 1 orders",
          (Router, "_check_limits", without("in the last 60 s"))),
    Guard("rejects", rejected, Stage.LIMITS, "1 rejects today, limit 1 rejects",
          (Router, "_check_limits", without("rejects today"))),
    Guard("duplicate", used, Stage.DUPLICATE, "the ref a-1 was used before",
          (limits_of_orders.DayUse, "has_seen", lambda *_: False)),
    Guard("reduce only", too_much_out, Stage.LIMITS, "the order would open",
          (door_of_orders, "is_reducing", lambda *_: True)),
    Guard("collar of the way out", far_out, Stage.LIMITS, "collar 10 bps",
          (door_of_orders, "check_collar", NOTHING)),
]  # fmt: skip


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_each_guard_stops_what_all_others_let_through(tmp_path: Path, guard: Guard) -> None:
    """An order that is wrong for one guard alone is stopped by it, with its reason, and nothing reaches the broker."""
    market = Market(tmp_path)
    guard.breaks(market)
    before = len(market.broker.orders())
    decision = market.offer()
    assert (decision.stage, decision.passed) == (guard.stage, False)
    assert guard.said in decision.reason
    assert ";" not in decision.reason, "another guard would have stopped it, too"
    assert len(market.broker.orders()) == before


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_each_guard_taken_away_lets_it_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guard: Guard) -> None:
    """With the guard taken away the very order goes out: nothing else stands behind it, so its test would fail."""
    market = Market(tmp_path)
    guard.breaks(market)
    where, name, instead = guard.gone
    monkeypatch.setattr(market if where is Market else where, name, instead)
    monkeypatch.setattr(
        Router, "_send", lambda _, order, opens, *__, **___: Decision(order, opens, Stage.BROKER, "sent")
    )
    assert market.offer().sent


def test_order_that_breaks_nothing_passes(tmp_path: Path) -> None:
    """The market of these tests stops nothing by itself."""
    assert Market(tmp_path).offer().sent


@pytest.mark.parametrize(
    ("limit", "said"),
    [({"max_day_rejects": 1}, "1 rejects today"), ({"max_orders_per_min": 1}, "1 orders in the last 60 s")],
)
def test_rejects_and_rate_outlive_a_restart(tmp_path: Path, limit: dict[str, int], said: str) -> None:
    """Rejects and orders of the last minute count from the day's journal: a new session does not begin at none."""
    clock = ScriptedQuotes().clock
    book = Book("live", "simulated", "SIM", clock.now().date())
    before = OrderJournal.open(tmp_path, book, clock)
    order = make_order("bad")
    before.intend(order, opens=True, held=0)
    before.told(OrderState(order, OrderStatus.REJECTED, reason="no"))
    before.close()
    market = Market(tmp_path)
    market.orders = OrderJournal.open(tmp_path, book, clock)
    market.limits = replace(LOOSE, **limit)  # type: ignore[arg-type]
    decision = market.offer()
    assert (decision.stage, said in decision.reason) == (Stage.LIMITS, True)
    market.orders.close()


def test_order_rate_is_of_the_last_minute(tmp_path: Path) -> None:
    """After sixty seconds an order does not count any more."""
    market = Market(tmp_path)
    busy(market)
    assert market.offer().stage is Stage.LIMITS
    market.source.clock.sleep(60)
    assert market.offer().sent


def test_turnover_is_of_the_session(tmp_path: Path) -> None:
    """What an earlier session sent does not count towards this session's turnover, but towards the day's cap."""
    market = Market(tmp_path)
    market.hold(5)
    market.limits = replace(LOOSE, max_session_turnover_usd=Decimal(3500))
    assert market.offer().sent
    market.limits = replace(LOOSE, notional_daily_cap_usd=Decimal(3500))
    market.order = make_order("a-2")
    assert "daily cap 3500.00 USD" in market.offer().reason
