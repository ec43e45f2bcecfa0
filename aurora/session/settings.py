"""What a session is told: by the runbook (what and how long) and by the profile (how much)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import time
from decimal import Decimal
from typing import Any

from aurora.errors import UsageError
from aurora.market.hours import parse_time
from aurora.market.mode import Mode
from aurora.market.restart import RestartWindow
from aurora.profile import Profile
from aurora.risk.caps import Caps
from aurora.risk.circuit_breaker import BreakerLimits
from aurora.risk.limits import OrderLimits
from aurora.risk.tripwires import TripwireLimits


@dataclass(frozen=True)
class SessionRequest:
    """What a runbook asks of a session; without steps, minutes and until it runs to five minutes before the close.

    steps:   polls after the warm-up. minutes: from the session's start. until: New York's time, like 15:45.
    poll_sec: seconds between polls; the profile's when None.
    """

    mode: Mode
    symbols: tuple[str, ...]
    quotes: str
    steps: int | None = None
    minutes: Decimal | None = None
    until: str | None = None
    poll_sec: Decimal | None = None


@dataclass(frozen=True)
class SessionSettings:
    """All that a session goes by, resolved: amounts in USD, times in the unit that the name says."""

    mode: Mode
    symbols: tuple[str, ...]
    poll_sec: Decimal
    steps: int | None
    minutes: Decimal | None
    until: time | None
    start_after_open_min: Decimal
    end_before_close_min: Decimal
    venue_restart: RestartWindow
    capital_usd: Decimal
    min_trade_usd: Decimal
    daily_loss_limit_usd: Decimal
    max_drawdown_usd: Decimal
    flattens_on_kill: bool
    models_enabled: bool
    model_answer_ms: Decimal
    tripwires: TripwireLimits
    breaker: BreakerLimits
    limits: OrderLimits
    max_weight_change_pct: Decimal
    halt_end_s: Decimal
    loop_p95_ms: Decimal
    no_trade_bars: int


def settle_settings(request: SessionRequest, profile: Profile, equity_usd: Decimal) -> SessionSettings:
    """Return what `request` and `profile` come to together, for an account worth `equity_usd`.

    Capital is the profile's, or the account's worth when that is less (trading rule 9).
    Raises UsageError for a request that no session can keep, SafetyStop for limits that are none.
    """
    check_request(request)
    risk, session = profile.risk, profile.session
    capital = min(Decimal(profile.capital_usd), equity_usd)
    poll_sec = Decimal(session.poll_sec) if request.poll_sec is None else request.poll_sec
    if not (poll_sec.is_finite() and Decimal("0.1") <= poll_sec <= 3600):
        raise UsageError(f"The poll interval was {poll_sec} s; it is 0.1 to 3600 s.")
    return SessionSettings(
        mode=request.mode,
        symbols=request.symbols,
        poll_sec=poll_sec,
        steps=request.steps,
        minutes=request.minutes,
        until=None if request.until is None else parse_time(request.until),
        start_after_open_min=Decimal(session.start_after_open_min),
        end_before_close_min=Decimal(session.end_before_close_min),
        venue_restart=RestartWindow(*(parse_time(session.venue_restart[edge]) for edge in ("from", "to"))),
        capital_usd=capital,
        min_trade_usd=Decimal(risk.min_trade_usd),
        daily_loss_limit_usd=_share(capital, risk.daily_loss_limit_pct),
        max_drawdown_usd=_share(capital, risk.max_drawdown_pct),
        flattens_on_kill=profile.on_kill == "flatten",
        models_enabled=profile.models.enable,
        model_answer_ms=Decimal(profile.models.answer_ms),
        tripwires=tripwire_limits(profile),
        breaker=BreakerLimits(
            same_hold_polls=risk.breaker.same_hold_polls,
            hold_share_pct=Decimal(risk.breaker.hold_share_pct),
            hold_share_after_polls=risk.breaker.hold_share_after_polls,
            no_tick_s=Decimal(risk.breaker.no_tick_s),
            stall_polls=risk.breaker.stall_polls,
            link_down_s=Decimal(risk.breaker.link_down_s),
        ),
        limits=order_limits(profile, capital),
        max_weight_change_pct=Decimal(risk.max_weight_change_pct),
        halt_end_s=Decimal(risk.halt_end_s),
        loop_p95_ms=Decimal(profile.slo.loop_p95_ms),
        no_trade_bars=profile.slo.no_trade_bars,
    )


def tripwire_limits(profile: Profile) -> TripwireLimits:
    """Return the profile's tripwires, those of single symbols laid over everybody's."""
    risk = profile.risk
    own = {symbol: _tripwires({**risk, **limits}) for symbol, limits in risk.symbols.items()}
    return replace(_tripwires(risk), by_symbol=own)


def _tripwires(limits: Mapping[str, Any]) -> TripwireLimits:
    return TripwireLimits(Decimal(limits["max_quote_age_s"]), Decimal(limits["max_spread_bps"]))


def order_limits(profile: Profile, capital_usd: Decimal) -> OrderLimits:
    """Return the profile's caps in USD, for a capital of so much."""
    risk = profile.risk
    return OrderLimits(
        per_trade_notional_usd=_share(capital_usd, risk.per_trade_notional_pct),
        notional_daily_cap_usd=_share(capital_usd, risk.notional_daily_cap_pct),
        daily_fee_cap_usd=Decimal(risk.daily_fee_cap_usd),
        collar_bps=Decimal(risk.collar_bps),
        max_symbol_exposure_usd=_share(capital_usd, risk.max_symbol_exposure_pct),
        max_gross_exposure_usd=_share(capital_usd, risk.max_gross_exposure_pct),
        max_session_turnover_usd=_share(capital_usd, risk.max_session_turnover_pct),
        max_orders_per_min=risk.max_orders_per_min,
        max_day_rejects=risk.max_day_rejects,
    )


def caps_of(profile: Profile) -> Caps:
    """Return the profile's caps, to be held against each other and against prices."""
    capital, risk = Decimal(profile.capital_usd), profile.risk
    return Caps(
        capital_usd=capital,
        orders=order_limits(profile, capital),
        max_weight_usd=_share(capital, profile.models.max_weight_pct),
        min_trade_usd=Decimal(risk.min_trade_usd),
        daily_loss_limit_usd=_share(capital, risk.daily_loss_limit_pct),
        max_drawdown_usd=_share(capital, risk.max_drawdown_pct),
        real_money=bool(profile.live),
    )


def _share(capital: Decimal, percent: Decimal | int) -> Decimal:
    return capital * Decimal(percent) / 100


def check_request(request: SessionRequest) -> None:
    """Raise UsageError for a request that no session can keep."""
    if not request.symbols:
        raise UsageError("A session needs at least one symbol.", todo="name them, like --symbols SPY,TSLA")
    twice = [symbol for symbol in request.symbols if request.symbols.count(symbol) > 1]
    if twice:
        raise UsageError(
            f"The symbol {twice[0]} was named {request.symbols.count(twice[0])} times.", todo="name it once"
        )
    for name, value in (("steps", request.steps), ("minutes", request.minutes)):
        if value is not None and not value > 0:
            raise UsageError(f"{name} was {value}; a session has more than 0.")
