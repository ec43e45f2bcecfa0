from __future__ import annotations

import ast
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from aurora.brokers.simulated import SimulatedBroker
from aurora.errors import VenueRefusal
from aurora.execution.router import Decision, Router, Stage
from aurora.market.mode import Mode
from aurora.market.order import Order, OrderState, Side
from aurora.risk.kill_switch import KillSwitch
from aurora.risk.limits import OrderLimits
from aurora.risk.tripwires import TripwireLimits
from tests.trading import ROOT, ScriptedQuotes, make_order, make_orders, make_quote, steady

LIMITS = OrderLimits(Decimal(1000), Decimal(5000), Decimal(20), Decimal(10))
WIRES = TripwireLimits(Decimal("1.5"), Decimal(50))


@dataclass
class Door:
    """A router over a market at 168.00 / 168.01, and what stands around it."""

    project: Path
    mode: Mode = Mode.LIVE
    lockout: str = ""
    objection: str = ""
    source: ScriptedQuotes = field(default_factory=lambda: ScriptedQuotes(steady()))

    def __post_init__(self) -> None:
        self.source.subscribe(["SPY"])
        self.broker = SimulatedBroker(
            quote_of=lambda symbol: self.source.poll()[symbol], clock=self.source.clock, cash=Decimal(100_000)
        )
        self.kill = KillSwitch(self.project)
        self.orders = make_orders(self.project / "orders.jsonl", self.source.clock)
        self.router = Router(
            mode=self.mode, broker=self.broker, clock=self.source.clock, kill_switch=self.kill,
            lockout=lambda: self.lockout, tripwires=WIRES, limits=LIMITS, objection=self.objection, orders=self.orders,
        )  # fmt: skip

    def offer(self, ref: str = "a-1", side: Side = Side.BUY, quantity: int = 5, **more: object) -> Decision:
        """Offer the router an order against the market of now."""
        limit = "168.10" if side is Side.BUY else "167.90"
        order = make_order(ref, side, quantity, limit, decided=self.source.clock.now(), **more)
        return self.router.route(order, self.source.poll()["SPY"])

    def hold(self, quantity: int) -> None:
        """Buy shares and let them fill."""
        done = 0
        while done < quantity:
            part = min(5, quantity - done)
            assert self.offer(f"hold-{done}", quantity=part).passed
            self.source.clock.sleep(1)
            self.router.settle()
            done += part


@pytest.fixture
def door(tmp_path: Path) -> Door:
    """Return a door in live mode."""
    return Door(tmp_path)


def test_good_order_is_sent(door: Door) -> None:
    """An order that every check lets through reaches the broker."""
    decision = door.offer()
    assert (decision.stage, decision.sent, decision.passed, decision.opens) == (Stage.BROKER, True, True, True)
    assert [state.order.ref for state in door.broker.orders()] == ["a-1"]


def test_nothing_opens_live_without_the_runs_grant(tmp_path: Path) -> None:
    """Engine rule 14: the grant is asked for before everything else, and only where orders are really sent."""
    blocked = Door(tmp_path, objection="no grant").offer()
    assert (blocked.stage, blocked.reason, blocked.passed) == (Stage.GRANT, "no grant", False)
    assert Door(tmp_path / "shadow", mode=Mode.SHADOW, objection="no grant").offer().passed


def test_the_exit_needs_no_grant(door: Door) -> None:
    """What reduces a position goes out whatever the run was granted."""
    door.hold(5)
    ungranted = Router(
        mode=Mode.LIVE, broker=door.broker, clock=door.source.clock, kill_switch=door.kill, lockout=lambda: "",
        tripwires=WIRES, limits=LIMITS, objection="no grant", orders=door.orders,
    )  # fmt: skip
    order = make_order("x-1", Side.SELL, 5, "167.90", decided=door.source.clock.now())
    assert ungranted.route(order, door.source.poll()["SPY"]).sent


def test_kill_flag_stops_everything(door: Door) -> None:
    """Trading rule 5: after a kill no opening order is sent, and a strategy's reducing one neither."""
    door.hold(5)
    door.kill.flag.touch()
    for side in Side:
        assert door.offer(f"b-{side}", side).stage is Stage.KILL
    assert len(door.broker.orders()) == 1


def test_lockout_stops_everything(door: Door) -> None:
    """Trading rule 5: a lockout stops opening and reducing orders of the strategy, with the anomaly as the reason."""
    door.hold(5)
    door.lockout = "reject of a-0"
    decisions = [door.offer(f"b-{side}", side) for side in Side]
    assert [(decision.stage, decision.reason) for decision in decisions] == [(Stage.LOCKOUT, "reject of a-0")] * 2


@pytest.mark.parametrize("quote", [None, make_quote(ask=None), make_quote("100", "110"), make_quote(halted=True)])
def test_tripwire_stops_the_order(door: Door, quote: object) -> None:
    """Trading rule 11: an order is held against the tripwires once more at the door."""
    decision = door.router.route(make_order(), quote)  # type: ignore[arg-type]
    assert decision.stage is Stage.TRIPWIRES
    assert decision.reason


def test_quote_gone_stale_on_the_way_stops_the_order(door: Door) -> None:
    """Trading rule 11: the quote's age counts at the door, not at the decision."""
    quote = door.source.poll()["SPY"]
    door.source.clock.sleep(2)
    decision = door.router.route(make_order(), quote)
    assert (decision.stage, decision.reason) == (Stage.TRIPWIRES, "SPY: quote age 2.000 s, limit 1.5 s")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"quantity": 6}, "limit a trade 1000.00 USD"),
        ({"quantity": 0}, "whole shares"),
        ({"side": Side.SELL}, "short sale"),
    ],
)
def test_limit_stops_the_order(door: Door, change: dict[str, object], said: str) -> None:
    """An order over a limit is stopped, with value and limit."""
    decision = door.offer(**change)  # type: ignore[arg-type]
    assert decision.stage is Stage.LIMITS
    assert said in decision.reason


def test_price_beyond_the_collar_is_stopped(door: Door) -> None:
    """Trading rule 6: a limit price beyond the collar is stopped."""
    decision = door.router.route(make_order(quantity=1, limit="170.00"), door.source.poll()["SPY"])
    assert (decision.stage, "collar 10 bps" in decision.reason) == (Stage.LIMITS, True)


def test_second_order_of_a_ref_is_stopped(door: Door) -> None:
    """A ref is used once: the second order is stopped at the door, not by the venue."""
    door.offer()
    decision = door.offer()
    assert (decision.stage, decision.reason) == (Stage.DUPLICATE, "the ref a-1 was used before")
    assert len(door.broker.orders()) == 1


def test_first_objection_is_the_reason(door: Door, tmp_path: Path) -> None:
    """The checks stand in their order: kill switch, lockout, tripwires, limits, duplicate."""
    door.offer("a-1", quantity=1)
    order, bad_quote = make_order("a-1", quantity=99), make_quote(ask=None)
    good_quote = door.source.poll()["SPY"]
    door.lockout = "locked"
    door.kill.flag.touch()
    stages = [door.router.route(order, bad_quote).stage]
    door.kill.flag.unlink()
    stages.append(door.router.route(order, bad_quote).stage)
    door.lockout = ""
    stages.append(door.router.route(order, bad_quote).stage)
    stages.append(door.router.route(order, good_quote).stage)
    stages.append(door.router.route(make_order("a-1", quantity=1), good_quote).stage)
    assert stages == [Stage.KILL, Stage.LOCKOUT, Stage.TRIPWIRES, Stage.LIMITS, Stage.DUPLICATE]


def test_shadow_sends_nothing(tmp_path: Path) -> None:
    """Shadow mode: every check runs, nothing is sent, and the order fills in the session's own book."""
    door = Door(tmp_path, Mode.SHADOW)
    decision = door.offer()
    assert (decision.stage, decision.sent, decision.passed) == (Stage.SHADOW, False, True)
    door.source.clock.sleep(1)
    assert len(door.router.settle().fills) == 1


@pytest.mark.parametrize("mode", [Mode.SHADOW, Mode.PAPER])
def test_every_mode_has_the_same_checks(tmp_path: Path, mode: Mode) -> None:
    """Shadow and paper stop what live would stop: their evidence is about live."""
    door = Door(tmp_path, mode)
    door.kill.flag.touch()
    assert door.offer().stage is Stage.KILL


def test_reducing_skips_caps_and_still_counts(door: Door) -> None:
    """Trading rule 5: a strategy's reducing order skips caps, but its notional counts."""
    door.hold(10)
    door.router.use.notional_usd = Decimal(100_000)
    door.router.use.fees_usd = Decimal(1000)
    assert door.offer("b-1").stage is Stage.LIMITS
    decision = door.offer("b-2", Side.SELL, 10)
    assert (decision.passed, decision.opens) == (True, False)
    assert door.router.use.notional_usd > 100_000


def test_more_than_held_is_no_reduction(door: Door) -> None:
    """Trading rule 5: selling more than is held opens a short, and what already sells counts."""
    door.hold(5)
    assert door.offer("b-1", Side.SELL, 6).stage is Stage.LIMITS
    assert door.offer("b-2", Side.SELL, 3).passed
    refused = door.offer("b-3", Side.SELL, 3)
    assert "short sale: sells 3 shares, holds 2" in refused.reason


def test_notional_is_reserved_at_send_and_given_back_when_unfilled(tmp_path: Path) -> None:
    """Trading rule 9: an order counts when it is sent; what ends unfilled is given back, what fills is not."""
    door = Door(tmp_path, source=ScriptedQuotes(steady(sizes=(2, 2))))
    door.offer(quantity=5)
    assert door.router.use.notional_usd == 5 * Decimal("168.10")
    door.source.clock.sleep(1)
    settlement = door.router.settle()
    assert [fill.quantity for fill in settlement.fills] == [2]
    assert [state.unfilled for state in settlement.ended] == [3]
    assert door.router.use.notional_usd == 2 * Decimal("168.10")
    assert door.router.use.fees_usd == Decimal(1)


def test_each_fill_is_told_once(door: Door) -> None:
    """Settling tells each fill and each end once."""
    door.offer()
    door.source.clock.sleep(1)
    first, second = door.router.settle(), door.router.settle()
    assert (len(first.fills), len(first.ended)) == (1, 1)
    assert (second.fills, second.ended) == ((), ())


def fail(order: Order, *_: object) -> OrderState:
    """Stand for a broker whose line is down."""
    raise VenueRefusal("the line is down")


def test_venue_may_forbid_to_open(tmp_path: Path) -> None:
    """Trading rule 10: where the venue forbids to open, an opening order is blocked for it; what reduces goes out."""

    class NoDayTrades(SimulatedBroker):
        def opening_objection(self) -> str:
            return "the account has no day trades left"

    door = Door(tmp_path)
    door.hold(5)
    door.broker.__class__ = NoDayTrades
    forbidden = Router(
        mode=Mode.LIVE, broker=door.broker, clock=door.source.clock, kill_switch=door.kill, lockout=lambda: "",
        tripwires=WIRES, limits=LIMITS, objection="", orders=door.orders,
    )  # fmt: skip
    quote = door.source.poll()["SPY"]
    now = door.source.clock.now()
    opening = forbidden.route(make_order("x-1", limit="168.10", decided=now), quote)
    assert (opening.stage, opening.reason) == (Stage.LIMITS, "the account has no day trades left")
    assert forbidden.route(make_order("x-2", Side.SELL, 5, "167.90", decided=now), quote).sent


def test_failed_send_still_counts(door: Door) -> None:
    """When sending fails nobody knows whether the venue has the order: it stays counted and its ref stays used."""
    door.broker.place_order = fail  # type: ignore[assignment,method-assign]
    with pytest.raises(VenueRefusal):
        door.offer()
    assert door.router.use.notional_usd > 0
    assert door.offer().stage is Stage.DUPLICATE


def test_unknown_order_counts_as_reducing_and_as_exposure(door: Door) -> None:
    """Trading rule 5: what an order without an answer may still sell can't be sold again, not even by a flatten."""
    door.hold(5)
    place = door.broker.place_order
    door.broker.place_order = fail  # type: ignore[assignment,method-assign]
    with pytest.raises(VenueRefusal):
        door.offer("b-1", Side.SELL, 3)
    door.broker.place_order = place  # type: ignore[method-assign]
    order = make_order("f-1", Side.SELL, 5, "168.00", decided=door.source.clock.now())
    assert "holds 5 shares, 3 of them are being reduced" in door.router.reduce(order, make_quote(), Decimal(10)).reason


def test_flatten_has_the_shorter_way(door: Door) -> None:
    """Trading rule 5: no cap, lockout, tripwire or kill flag stands between the trader and the exit."""
    door.hold(5)
    door.kill.flag.touch()
    door.lockout = "locked"
    door.router.use.notional_usd = Decimal(100_000)
    wide = make_quote("160.00", "168.01", at=door.source.clock.now() - timedelta(seconds=4))
    order = make_order("f-1", Side.SELL, 5, "159.84", decided=door.source.clock.now())
    assert door.router.reduce(order, wide, Decimal(10)).sent


@pytest.mark.parametrize(
    ("side", "quantity", "limit", "said"),
    [
        (Side.BUY, 1, "168.00", "the order would open"),
        (Side.SELL, 6, "168.00", "holds 5 shares, 0 of them are being reduced: the order would open"),
        (Side.SELL, 5, "150.00", "collar 10 bps"),
        (Side.SELL, 0, "168.00", "whole shares"),
    ],
)
def test_flatten_only_reduces(door: Door, side: Side, quantity: int, limit: str, said: str) -> None:
    """Trading rule 5: a flatten's order passes the reduction rule, the collar and a whole size, and nothing else."""
    door.hold(5)
    decision = door.router.reduce(make_order("f-1", side, quantity, limit), make_quote(), Decimal(10))
    assert not decision.passed
    assert said in decision.reason


def test_flatten_uses_a_ref_once(door: Door) -> None:
    """A flatten's ref is used once, too."""
    door.hold(5)
    order = make_order("f-1", Side.SELL, 2, "168.00", decided=door.source.clock.now())
    assert door.router.reduce(order, make_quote(), Decimal(10)).sent
    assert door.router.reduce(order, make_quote(), Decimal(10)).stage is Stage.DUPLICATE


def test_router_is_the_only_door() -> None:
    """The router is the only caller of Broker.place_order in Aurora and in the steps."""
    callers = {
        path.relative_to(ROOT).as_posix()
        for folder in ("aurora", "steps")
        for path in (ROOT / folder).rglob("*.py")
        if "gateway" not in path.parts  # the venue itself, on the other side of the wire
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "place_order"
    }
    assert callers == {"aurora/execution/router.py"}


def test_fills_that_no_position_tells_yet_add_up(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules 5, 9: while the venue's positions lag behind, exposure counts every fill; only what is sure is reduced."""
    monkeypatch.setattr(SimulatedBroker, "positions", lambda _: ())
    for number, shares in enumerate((3, 2, 1), start=1):
        assert door.offer(f"a-{number}", quantity=shares).passed
        door.source.clock.sleep(1)
        door.router.settle()
    assert door.router.expected("SPY") == 6
    assert door.router._in_flight.exposure_usd("SPY") == 6 * Decimal("168.10")
    assert (door.router.reducible("SPY"), door.router._in_flight.of("SPY")) == (0, (0, 0))
