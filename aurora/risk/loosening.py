"""Which change of a profile loosens what its sessions are held to: what restarts the week that earned promotion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum

from aurora.profile import Profile, Section

SECTIONS = ("capital_usd", "on_kill", "risk", "session", "models", "slo")
OWN = ("max_quote_age_s", "max_spread_bps")
"""Limits that a symbol may have for itself."""


class Looser(StrEnum):
    """How a value gets looser: the higher or the lower it is, by any change; NEVER is a cost or an order of things."""

    HIGHER = "higher"
    LOWER = "lower"
    CHANGED = "changed"
    NEVER = "never"


DIRECTIONS: Mapping[str, Looser] = {
    **dict.fromkeys(
        (
            "capital_usd", "risk.max_quote_age_s", "risk.max_spread_bps", "risk.per_trade_notional_pct",
            "risk.notional_daily_cap_pct", "risk.max_session_turnover_pct", "risk.max_symbol_exposure_pct",
            "risk.max_gross_exposure_pct", "risk.max_orders_per_min", "risk.max_day_rejects",
            "risk.max_weight_change_pct", "risk.max_prior_close_gap_pct", "risk.daily_fee_cap_usd",
            "risk.daily_loss_limit_pct", "risk.max_drawdown_pct", "risk.collar_bps", "risk.breaker.same_hold_polls",
            "risk.breaker.hold_share_pct", "risk.breaker.hold_share_after_polls", "risk.breaker.no_tick_s",
            "risk.breaker.stall_polls", "risk.breaker.link_down_s", "models.max_weight_pct", "models.answer_ms",
            "models.drift.warn_psi", "models.drift.fail_psi", "models.drift.max_missing_pct",
            "slo.loop_p95_ms", "slo.max_hold_share_pct", "slo.slippage_tolerance_bps", "slo.slippage_p95_bps",
            "slo.fee_tolerance_bps", "slo.halt_ms", "slo.no_trade_bars",
        ),
        Looser.HIGHER,
    ),
    **dict.fromkeys(
        (
            "risk.halt_end_s", "risk.min_trade_usd", "session.start_after_open_min", "session.end_before_close_min",
            "session.message_spacing_ms", "models.drift.min_values",
        ),
        Looser.LOWER,
    ),
    **dict.fromkeys(
        ("on_kill", "session.poll_sec", "session.at_end", "session.on_lockout", "models.enable", "models.name"),
        Looser.CHANGED,
    ),
    **dict.fromkeys(
        (
            "risk.slippage_bps", "risk.fee_bps", "session.venue_restart.from", "session.venue_restart.to",
            "models.drift.window_days",
        ),
        Looser.NEVER,
    ),
}  # fmt: skip


def limits_of(profile: Profile) -> dict[str, str]:
    """Return what a profile holds its sessions to, as text by dotted name; limits of single symbols among them."""
    return {name: str(value) for section in SECTIONS for name, value in _flat(section, profile.values[section])}


def loosened(before: Mapping[str, str], after: Mapping[str, str], symbols: Iterable[str]) -> list[str]:
    """Return a line for each value of `after` that is looser than that of `before`, for sessions of `symbols`.

    What one of the two does not say is looser: nobody can tell.
    """
    own = [
        name for symbol in symbols for each in OWN if (name := f"risk.symbols.{symbol}.{each}") in {**before, **after}
    ]
    return [line for name in (*DIRECTIONS, *own) if (line := _looser(name, _value(name, before), _value(name, after)))]


def _flat(path: str, value: object) -> Iterable[tuple[str, object]]:
    if not isinstance(value, Section):
        return [(path, value)]
    return [each for key, inner in value.items() for each in _flat(f"{path}.{key}", inner)]


def _value(name: str, limits: Mapping[str, str]) -> str | None:
    return limits.get(name, limits.get(_general(name)))


def _general(name: str) -> str:
    """Return the name of everybody's limit: `risk.symbols.IBM.max_spread_bps` → `risk.max_spread_bps`."""
    return f"risk.{name.rpartition('.')[2]}" if name.startswith("risk.symbols.") else name


def _looser(name: str, before: str | None, after: str | None) -> str:
    if before is None or after is None:
        return f"{name} was {before or 'not on record'}, and is {after or 'not said'}"
    direction = DIRECTIONS[_general(name)]
    if direction is Looser.CHANGED:
        is_looser = after != before and not _same_number(before, after)
    else:
        higher = _difference(before, after) if direction is not Looser.NEVER else Decimal(0)
        if not higher.is_finite():
            return f"{name} was {before}, and is {after}: that can't be compared"
        is_looser = higher > 0 if direction is Looser.HIGHER else higher < 0
    how = "changed" if direction is Looser.CHANGED else "loosened"
    return f"{name} was {how} from {before} to {after}" if is_looser else ""


def _difference(before: str, after: str) -> Decimal:
    try:
        return Decimal(after) - Decimal(before)
    except ArithmeticError:
        return Decimal("NaN")


def _same_number(before: str, after: str) -> bool:
    try:
        return Decimal(before) == Decimal(after)
    except ArithmeticError:
        return False
