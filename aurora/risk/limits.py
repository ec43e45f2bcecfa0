"""Limits on orders: hard blocks, counted when an order is sent, each reason with its value and its limit.

Pure but for `DayUse`, which adds up what the day has used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from aurora.errors import SafetyStop
from aurora.market.order import Order, Side

WAY_OUT = Decimal("1.02")
"""The way out of a position is counted a little dearer than the way in: prices move."""


@dataclass(frozen=True)
class OrderLimits:
    """What one order and one day may use.

    per_trade_notional_usd, notional_daily_cap_usd, daily_fee_cap_usd: USD.
    collar_bps: how far beyond the far touch a limit price may be, in basis points.
    max_symbol_exposure_usd, max_gross_exposure_usd: what is held and may still fill, of one symbol and of all, USD.
    max_session_turnover_usd: what one session sends, the way out included, USD.
    max_orders_per_min: orders of the account in any 60 s. max_day_rejects: rejects after which nothing opens that day.
    The defaults are small: whoever forgets one sends little. Sessions take each of them from the profile.
    """

    per_trade_notional_usd: Decimal
    notional_daily_cap_usd: Decimal
    daily_fee_cap_usd: Decimal
    collar_bps: Decimal
    max_symbol_exposure_usd: Decimal = Decimal(5000)
    max_gross_exposure_usd: Decimal = Decimal(10_000)
    max_session_turnover_usd: Decimal = Decimal(10_000)
    max_orders_per_min: int = 30
    max_day_rejects: int = 3

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (Decimal(value).is_finite() and value >= 0):
                raise SafetyStop(f"{name} was {value}; a limit is a number of at least 0.", todo="mend the profile")


@dataclass(frozen=True)
class Pace:
    """How fast orders go: sent by this session in USD; of the account in the last 60 s; rejects of the day."""

    session_usd: Decimal = Decimal(0)
    orders_last_min: int = 0
    day_rejects: int = 0


@dataclass
class DayUse:
    """What this day's orders have used so far: reserved at send; only a confirmed unfilled rest is given back.

    notional_usd: all orders. opened_usd: those that opened. opens, shares: by ref, what each order is counted as.
    """

    notional_usd: Decimal = Decimal(0)
    opened_usd: Decimal = Decimal(0)
    fees_usd: Decimal = Decimal(0)
    opens: dict[str, bool] = field(default_factory=dict)
    shares: dict[str, int] = field(default_factory=dict)

    def has_seen(self, ref: str) -> bool:
        """Return whether an order of this ref was counted before."""
        return ref in self.opens

    def reserve(self, order: Order, *, opens: bool) -> None:
        """Count the whole order."""
        self.opens[order.ref] = opens
        self.count(order, order.quantity)

    def count(self, order: Order, shares: int) -> None:
        """Count so many shares of an order that was reserved: less when its rest is confirmed, more by a late fill."""
        amount = (shares - self.shares.get(order.ref, 0)) * _most(order)
        self.shares[order.ref] = shares
        self.notional_usd += amount
        if self.opens[order.ref]:
            self.opened_usd += amount

    def add_fee(self, fee: Decimal) -> None:
        """Count a commission."""
        self.fees_usd += fee


def assumed_fee(quantity: int) -> Decimal:
    """Return what a commission counts as until the venue tells it, in USD: IBKR's fixed price of so many shares."""
    return max(Decimal(1), quantity * Decimal("0.005"))


def notional(order: Order) -> Decimal:
    """Return what the order is counted as, in USD: its shares at the limit price, or at the mid when that is higher."""
    return order.quantity * _most(order)


def _most(order: Order) -> Decimal:
    return max(order.limit, order.decision_mid)


def is_reducing(order: Order, position: int, working: int = 0) -> bool:
    """Return whether `order` only reduces: opposite sign, at most |position| less what working orders reduce already.

    position: signed shares confirmed by the venue; working: shares of working and unknown reducing orders (rule 5).
    """
    return order.side.sign * position < 0 and order.quantity <= abs(position) - working


def check_shape(order: Order) -> tuple[str, ...]:
    """Return why `order` can't be sent whatever it is for: whole shares above zero at a price above zero."""
    reasons = []
    if order.quantity <= 0 or order.quantity != int(order.quantity):
        reasons.append(f"quantity was {order.quantity}, orders are whole shares above 0")
    for name, price in (("limit", order.limit), ("decision mid", order.decision_mid)):
        if not price.is_finite():
            raise SafetyStop(f"{order.ref}: the {name} was {price}.", means="something computed with what is no number")
        if price <= 0:
            reasons.append(f"{name} was {price}, a price is above 0")
    return tuple(reasons)


def check_collar(order: Order, far_touch: Decimal | None, collar_bps: Decimal) -> tuple[str, ...]:
    """Return why the limit price is too far beyond the far touch (rule 6)."""
    if far_touch is None or far_touch <= 0:
        return ("there is no far touch to hold the limit price against",)
    beyond = (order.limit - far_touch) * order.side.sign / far_touch * 10_000
    if beyond <= collar_bps:
        return ()
    return (f"limit {order.limit} is {beyond:.2f} bps beyond the far touch {far_touch}, collar {collar_bps} bps",)


def check_opening(
    order: Order, position: int, exposure_usd: Decimal, use: DayUse, limits: OrderLimits
) -> tuple[str, ...]:
    """Return every limit that an opening `order` would break.

    position: signed shares of the symbol, in flight included. exposure_usd: what all positions and working orders
    amount to. The day's cap must also hold the way out of all that: reducing orders count, but are never stopped.
    """
    reasons = []
    size = notional(order)
    if size > limits.per_trade_notional_usd:
        reasons.append(f"notional {size:.2f} USD, limit a trade {limits.per_trade_notional_usd:.2f} USD")
    day = use.notional_usd + size + (exposure_usd + size) * WAY_OUT
    if day > limits.notional_daily_cap_usd:
        reasons.append(
            f"day's notional would be {day:.2f} USD with the way out, daily cap {limits.notional_daily_cap_usd:.2f} USD"
        )
    if use.fees_usd >= limits.daily_fee_cap_usd:
        reasons.append(f"day's fees {use.fees_usd} USD, daily cap {limits.daily_fee_cap_usd} USD")
    if order.side is Side.SELL and order.quantity > position:
        reasons.append(f"short sale: sells {order.quantity} shares, holds {position}, limit 0 short")
    return tuple(reasons)


def check_exposure(order: Order, symbol_usd: Decimal, gross_usd: Decimal, limits: OrderLimits) -> tuple[str, ...]:
    """Return why an opening `order` would hold too much of its symbol, or in all.

    symbol_usd, gross_usd: what positions and working and unknown orders amount to, of the symbol and of all, in USD.
    """
    size = notional(order)
    return tuple(
        f"{name} would be {value + size:.2f} USD with what is in flight, limit {limit:.2f} USD"
        for name, value, limit in (
            (f"exposure of {order.symbol}", symbol_usd, limits.max_symbol_exposure_usd),
            ("gross exposure", gross_usd, limits.max_gross_exposure_usd),
        )
        if value + size > limit
    )


def check_pace(order: Order, pace: Pace, exposure_usd: Decimal, limits: OrderLimits) -> tuple[str, ...]:
    """Return why no order may open now: too many in a minute, too much traded in this session, too many rejects.

    The turnover must also hold the way out of `exposure_usd`, as the day's cap does.
    """
    reasons = []
    if pace.orders_last_min >= limits.max_orders_per_min:
        reasons.append(f"{pace.orders_last_min} orders in the last 60 s, limit {limits.max_orders_per_min} orders")
    size = notional(order)
    turnover = pace.session_usd + size + (exposure_usd + size) * WAY_OUT
    if turnover > limits.max_session_turnover_usd:
        reasons.append(
            f"session's turnover would be {turnover:.2f} USD with the way out, "
            f"limit {limits.max_session_turnover_usd:.2f} USD"
        )
    if pace.day_rejects >= limits.max_day_rejects:
        reasons.append(
            f"{pace.day_rejects} rejects today, limit {limits.max_day_rejects} rejects: nothing opens until tomorrow"
        )
    return tuple(reasons)
