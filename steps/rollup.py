"""Steps that sum sessions up from their records."""

from __future__ import annotations

from decimal import Decimal

from aurora.analytics.period import PeriodRollup, roll_up_period
from aurora.analytics.rollup import SessionRollup, roll_up
from aurora.analytics.slo import SloVerdict, judge, period_findings, session_findings
from aurora.engine.context import Context
from aurora.engine.registry import step
from aurora.session.services import Services
from aurora.session.settings import order_limits


@step(repeat="safe", dry_run="skip")
def session(context: Context[Services], recording: str) -> SessionRollup:
    """Sum up one session's record, held against the profile's caps."""
    return _roll_up(context, recording)


@step(repeat="safe", dry_run="skip")
def slo(context: Context[Services], recording: str) -> SloVerdict:
    """Hold one session's record against what the profile promises of a session."""
    return judge(session_findings(_roll_up(context, recording), context.profile))


@step(repeat="safe", dry_run="skip")
def period(context: Context[Services], mode: str, days: int = 7) -> PeriodRollup:
    """Sum up the recorded sessions of a mode (paper, shadow, live) over the last days."""
    return roll_up_period(context.project, mode, context.services.clock.now(), days)


@step(repeat="safe", dry_run="skip")
def period_slo(context: Context[Services], mode: str, days: int = 7) -> SloVerdict:
    """Hold the recorded sessions of a mode over the last days against what the profile promises."""
    rollup = roll_up_period(context.project, mode, context.services.clock.now(), days)
    return judge(period_findings(rollup, context.profile))


def _roll_up(context: Context[Services], recording: str) -> SessionRollup:
    limits = order_limits(context.profile, Decimal(context.profile.capital_usd))
    return roll_up(
        context.project / recording,
        trade_cap_usd=limits.per_trade_notional_usd,
        notional_cap_usd=limits.notional_daily_cap_usd,
    )
