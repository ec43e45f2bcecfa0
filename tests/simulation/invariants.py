"""What holds after a simulated day, whatever happened in it: checked against the venue's own books."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from aurora.market.order import Side
from tests.simulation.world import ACCOUNT, SYMBOLS, Arrival, World

MINUTE_S = 60.0


def broken(world: World) -> list[str]:
    """Return every invariant that does not hold, in words."""
    checks = (limits, one_order_an_intent, nothing_opened, no_sign_changed, flat_at_the_end, on_record, truth_told)
    return [f"{check.__name__}: {fault}" for check in checks for fault in check(world)]


def limits(world: World) -> Iterator[str]:
    """No limit is exceeded: a trade's size, what is held and may fill, the day's turnover and fees, orders a minute."""
    most = world.limits
    opening = [arrival for arrival in world.arrivals if arrival.opens]
    for arrival in opening:
        order = arrival.order
        limit = order.terms.limit
        assert limit is not None
        size = order.terms.quantity * limit
        if size > most.per_trade_notional_usd:
            yield f"{order.ref} was for {size} USD, limit {most.per_trade_notional_usd}"
        held = abs(arrival.held + arrival.working) * limit + size
        if held > most.max_symbol_exposure_usd * Decimal("1.01"):  # held shares at today's price, not at their cost
            yield f"{order.ref} brought {order.listing.symbol} to {held} USD, limit {most.max_symbol_exposure_usd}"
        if arrival.gross_usd + size > most.max_gross_exposure_usd * Decimal("1.01"):
            yield f"{order.ref} brought all to {arrival.gross_usd + size} USD, limit {most.max_gross_exposure_usd}"
        if arrival.fees_usd > most.daily_fee_cap_usd:
            yield f"{order.ref} opened with fees of {arrival.fees_usd} USD, limit {most.daily_fee_cap_usd}"
        recent = [each for each in world.arrivals if 0 <= arrival.at_s - each.at_s < MINUTE_S]
        before = sum(1 for each in recent if each is not arrival and each.at_s <= arrival.at_s)
        if before >= most.max_orders_per_min + 1:
            yield f"{order.ref} was order {before + 1} of a minute, limit {most.max_orders_per_min}"
    traded = sum((fill.quantity * fill.price for fill in world.gateway.venue.executions), Decimal(0))
    if traded > most.notional_daily_cap_usd:
        yield f"{traded} USD were traded, the day's cap is {most.notional_daily_cap_usd}"


def one_order_an_intent(world: World) -> Iterator[str]:
    """Each order at the venue has an intent on record, and each intent at most one order."""
    known = world.day().orders
    for ref, times in Counter(arrival.order.ref for arrival in world.arrivals).items():
        if times > 1:
            yield f"{ref} came {times} times"
        if ref not in known:
            yield f"{ref} is on no record"


def nothing_opened(world: World) -> Iterator[str]:
    """Nothing is opened after a kill, a lockout or a session's end."""
    for arrival in world.arrivals:
        for since_s, until_s, why in world.forbidden:
            if arrival.opens and since_s < arrival.at_s < until_s:
                shown = f"{arrival.order.ref} came at {arrival.at_s:.2f} s ({_shown(arrival)})"
                yield f"{shown}: {why} since {since_s:.2f} s"


def no_sign_changed(world: World) -> Iterator[str]:
    """No position was ever short: the strategy wants none, and no exit goes through zero."""
    held = dict.fromkeys(SYMBOLS, 0)
    for fill in world.gateway.venue.executions:
        symbol = fill.order.listing.symbol
        held[symbol] += fill.quantity if fill.order.side is Side.BUY else -fill.quantity
        if held[symbol] < 0:
            yield f"{symbol} was at {held[symbol]} after {fill.order.ref}"


def flat_at_the_end(world: World) -> Iterator[str]:
    """Every exit was open: once the faults are over, the account can be flattened, and is."""
    held = world.held()
    if not world.last.flat or held:
        yield f"flat: {world.last.flat}, held: {held}, left: {world.last.reason}"


def on_record(world: World) -> Iterator[str]:
    """Every fill at the venue is on record as it is now, with its commission, and the record's positions are true."""
    day = world.day()
    theirs = {fill.exec_id.rpartition(".")[0]: fill for fill in world.gateway.venue.executions}
    ours = {fill.execution_id: fill for fill in day.fills.values()}
    for id_ in theirs.keys() - ours.keys():
        yield f"the fill {id_} of {theirs[id_].order.ref} is not on record"
    for id_ in ours.keys() - theirs.keys():
        yield f"the fill {id_} is on record only"
    for id_ in ours.keys() & theirs.keys():
        mine, true = ours[id_], theirs[id_]
        if (mine.ref, mine.quantity, mine.price) != (true.order.ref, true.quantity, true.price):
            yield f"the fill {id_} is {mine} on record, {true} at the venue"
    wrong = {symbol: shares for symbol, shares in day.holdings.items() if shares}
    if wrong and world.last.flat:
        yield f"the record holds {wrong}, the account {ACCOUNT} nothing"


def truth_told(world: World) -> Iterator[str]:
    """A session says that it is flat only when it is, and what is left; no fault ends it; it begins only when free."""
    yield from world.odd
    for life in world.lives:
        if life.result is not None and life.result.flat and life.held:
            yield f"a session said that it was flat, and the venue held {life.held}"
        if life.result is not None and not life.result.flat and not life.result.left:
            yield "a session ended with a position, and said nothing of it"


def _shown(arrival: Arrival) -> str:
    order = arrival.order
    return f"{order.side} {order.terms.quantity} {order.listing.symbol}, held {arrival.held}, working {arrival.working}"
