"""Steps that sum sessions up from their records."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from aurora.analytics.period import PeriodRollup, pool_sessions, roll_up_period
from aurora.analytics.rollup import SessionRollup, roll_up
from aurora.analytics.slo import SloVerdict, judge, period_findings, session_findings
from aurora.engine.context import Context
from aurora.engine.registry import step
from aurora.session.services import Services
from aurora.session.settings import order_limits

if TYPE_CHECKING:
    from aurora.analytics.series import Series


@dataclass(frozen=True)
class Figures:
    """What was drawn: files among the step's artifacts, what each shows, and (undrawn) why others were not."""

    files: list[str]
    shows: list[str]
    undrawn: list[str]


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


@step(repeat="safe", dry_run="skip")
def figures(context: Context[Services], recording: str) -> Figures:
    """Draw one session: slippage, loop latency, equity and drawdown, limits used; SVG files for the report."""
    from aurora.analytics.series import session_series  # noqa: PLC0415 - lint imports this module, only workers draw

    return _draw(context, session_series(context.project / recording))


@step(repeat="safe", dry_run="skip")
def period_figures(context: Context[Services], mode: str, days: int = 7) -> Figures:
    """Draw the recorded sessions of a mode over the last days, a point a session; SVG files for the report."""
    from aurora.analytics.series import period_series  # noqa: PLC0415 - lint imports this module, only workers draw

    return _draw(
        context, period_series(pool_sessions(context.project, mode, context.services.clock.now(), days), mode, days)
    )


def _draw(context: Context[Services], series: Series) -> Figures:
    from aurora.analytics import figures as drawing  # noqa: PLC0415 - the same

    profile = context.profile
    limits = drawing.Limits(float(profile.risk.slippage_bps), float(profile.slo.loop_p95_ms))
    drawn = drawing.draw(series, limits)
    for each in drawn:
        if each.svg is not None:
            (context.artifacts / f"{each.name}.svg").write_bytes(each.svg)
        else:
            context.log(each.says)
    return Figures(
        files=[f"{each.name}.svg" for each in drawn if each.svg is not None],
        shows=[each.says for each in drawn if each.svg is not None],
        undrawn=[each.says for each in drawn if each.svg is None],
    )


def _roll_up(context: Context[Services], recording: str) -> SessionRollup:
    limits = order_limits(context.profile, Decimal(context.profile.capital_usd))
    return roll_up(
        context.project / recording,
        trade_cap_usd=limits.per_trade_notional_usd,
        notional_cap_usd=limits.notional_daily_cap_usd,
    )
