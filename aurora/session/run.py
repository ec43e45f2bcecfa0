"""Runs a session: opens quotes, broker and record, lets it trade, and sums it up."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from aurora.brokers.base import Broker
from aurora.clock import SystemClock, iso
from aurora.errors import VenueRefusal
from aurora.execution.order_journal import Book, OrderJournal
from aurora.execution.recovery import learn_the_truth
from aurora.grant import SIMULATED, Grant, objection
from aurora.market.calendar import session_hours
from aurora.market.hours import exchange_day
from aurora.market.mode import Mode
from aurora.risk.circuit_breaker import CircuitBreaker
from aurora.risk.kill_watch import KillWatch
from aurora.risk.lockout import Lockout
from aurora.risk.loosening import limits_of
from aurora.session.account import account_id
from aurora.session.heartbeat import Heartbeat, require_dead_man
from aurora.session.loop import Session
from aurora.session.outcry import Outcry
from aurora.session.phases import p95
from aurora.session.recorder import Recorder
from aurora.session.result import SessionResult
from aurora.session.services import Services
from aurora.session.settings import SessionRequest, SessionSettings, check_request, settle_settings
from aurora.session.tally import equity_usd
from aurora.session.watched import WatchedQuotes

RECORDING = "session.jsonl"
ORDERS = "orders.jsonl"


@dataclass(frozen=True)
class Attempt:
    """Who runs a session, and how it is heard: an id unique for ever, a folder for its record, and two callbacks.

    tells_kill: that the kill flag stopped it is told at once; a rehearsal tells what came of it itself.
    """

    id: str
    folder: Path
    on_progress: Callable[[float, float | None, str], None] = lambda *_: None
    is_stopping: Callable[[], bool] = bool
    grant: Grant | None = None
    tells_kill: bool = True


def run_session(
    services: Services,
    request: SessionRequest,
    attempt: Attempt,
    *,
    after_run: Callable[[Session], None] = lambda _: None,
) -> SessionResult:
    """Run one session and return its result; its record is `session.jsonl` in the attempt's folder.

    Its orders are in the account's order journal of the day (`aurora.execution.order_journal`).

    after_run: called with the session before its quotes are closed (a rehearsal looks at the router there).
    Raises SafetyStop when the kill flag is set or the mode is locked out; UsageError, ProfileError or VenueRefusal when
    it can't start; RecordError when the disk refuses the record (after flattening).
    """
    lockout = _require_ready(services, request)
    with contextlib.ExitStack() as stack:
        source = _open_source(services, request, stack)
        broker = services.open_broker(request.mode, source)
        equity = equity_usd(broker.cash(), broker.positions(), {})
        settle_settings(request, services.profile, equity)  # refuses what can't be kept, before anything is written
        strategy = services.strategy()
        recorder = stack.enter_context(contextlib.closing(Recorder(attempt.folder / RECORDING)))
        orders = stack.enter_context(contextlib.closing(_open_orders(services, request, source, attempt)))
        anomalies = _learn(services, request, orders, broker, source, lockout)
        capital = orders.join(attempt.id, Decimal(services.profile.capital_usd), equity)
        settings = settle_settings(request, services.profile, capital)
        outcry = stack.enter_context(Outcry(services, request.mode, lockout, attempt.id))
        session = Session(
            settings,
            source=source,
            broker=broker,
            strategy=strategy,
            kill_switch=services.kill_switch,
            recorder=recorder,
            objection=objection(attempt.grant, attempt.id, services.profile),
            orders=orders,
            breaker=CircuitBreaker(settings.breaker, outcry.lock_out, outcry.warn),
            lockout=lockout,
            ref_prefix=hashlib.sha256(attempt.id.encode()).hexdigest()[:12],
            on_progress=attempt.on_progress,
            is_stopping=outcry.beating(_heartbeat(services, request, outcry, stack).beating(attempt.is_stopping)),
            on_kill_flag=outcry.killed if attempt.tells_kill else lambda: None,
            pause=_pause_of(services, source, stack),
        )
        for anomaly in anomalies:
            session.breaker.trip(anomaly)
        recorder.open_session(_header(services, session, source, attempt.id, strategy.name))
        session.run()
        after_run(session)
        result = _sum_up(session, services, source, recorder)
        recorder.write("session.closed", at=iso(source.clock.now()), result=vars(result))
        return result


def _require_ready(services: Services, request: SessionRequest) -> Lockout | None:
    """Raise what stands against any session; return live's lockout, which must not stand.

    A paper or shadow lockout ends with its session (rule 23).
    """
    services.kill_switch.require_clear()
    check_request(request)
    require_dead_man(services, request.mode)
    if request.mode is not Mode.LIVE:
        return None
    lockout = Lockout(services.project, request.mode)
    lockout.require_none()
    return lockout


def _open_source(services: Services, request: SessionRequest, stack: contextlib.ExitStack) -> WatchedQuotes:
    """Return the session's quotes, subscribed, of a venue whose hours are the calendar's; `stack` closes them."""
    source = WatchedQuotes(services.open_quotes(request.quotes, request.mode))
    stack.callback(source.close)
    source.subscribe(request.symbols)
    _require_hours_agree(source)
    return source


def _require_hours_agree(source: WatchedQuotes) -> None:
    """Raise VenueRefusal when the venue keeps other hours today than the exchange's calendar says (rule 14)."""
    day = exchange_day(source.clock.now())
    ours = session_hours(day)
    for symbol, theirs in source.regular_hours(day).items():
        if theirs != ours:
            raise VenueRefusal(
                f"The venue's hours of {symbol} on {day} are {_span(theirs)}; the calendar's are {_span(ours)}.",
                means="a session would begin or end at the wrong time; nothing was traded",
                todo="look at the exchange's notices; where the calendar is wrong: make calendar",
            )


def _span(hours: tuple[datetime, datetime] | None) -> str:
    return "none" if hours is None else f"{iso(hours[0])} to {iso(hours[1])}"


def _heartbeat(services: Services, request: SessionRequest, outcry: Outcry, stack: contextlib.ExitStack) -> Heartbeat:
    """Return what pings the dead man's switch off the host until the session has left."""
    return stack.enter_context(Heartbeat(services, request.mode, outcry.warn))


def _pause_of(services: Services, source: WatchedQuotes, stack: contextlib.ExitStack) -> Callable[[float], object]:
    """Return how the session waits; on the machine's own clock the kill flag cuts it short."""
    if isinstance(source.clock, SystemClock):
        return stack.enter_context(KillWatch(services.kill_switch)).wait
    return source.clock.sleep


def _keeps_own_book(services: Services, request: SessionRequest) -> bool:
    """Return whether the session's orders fill in a simulated book that ends with it."""
    return request.mode is not Mode.LIVE or services.profile.venue == SIMULATED


def _open_orders(services: Services, request: SessionRequest, source: WatchedQuotes, attempt: Attempt) -> OrderJournal:
    """Open the account's journal of the day.

    Generated and recorded quotes are of no day that another session shares: such a session can be run twice, and must
    decide alike; its journal lies beside its record.
    """
    account = "SIM" if _keeps_own_book(services, request) else account_id(services)
    book = Book(request.mode, services.profile.venue, account, exchange_day(source.clock.now()))
    if source.realtime:
        return OrderJournal.open(services.project, book, source.clock)
    return OrderJournal.create(attempt.folder / ORDERS, book, source.clock)


def _learn(
    services: Services,
    request: SessionRequest,
    orders: OrderJournal,
    broker: Broker,
    source: WatchedQuotes,
    lockout: Lockout | None,
) -> list[str]:
    """Settle what sessions before this one left open; return the anomalies of it.

    An order of an earlier day is told by the venue no more: a person has to find out what became of it, and unlock.
    """
    if _keeps_own_book(services, request):
        orders.lose_book()
        return []
    unlock = "" if lockout is None else lockout.last_unlock()
    return [*orders.resolve_days(unlock), *learn_the_truth(orders, broker, source.clock)]


def _header(services: Services, session: Session, source: WatchedQuotes, session_id: str, model: str) -> dict[str, Any]:
    profile, settings = services.profile, session.settings
    return {
        "session": session_id,
        "mode": settings.mode,
        "venue": profile.venue,
        "quotes": source.name,
        "realtime": source.realtime,
        "symbols": list(settings.symbols),
        "model": model,
        "profile": {"name": profile.name, "digest": profile.digest, "limits": limits_of(profile)},
        "settings": {
            "poll_sec": settings.poll_sec,
            "steps": settings.steps,
            "minutes": settings.minutes,
            "until": None if settings.until is None else f"{settings.until:%H:%M:%S}",
            "models_enabled": settings.models_enabled,
            "capital_usd": settings.capital_usd,
        },
        "limits": _limits(settings),
        "orders": shown_path(session.router.orders.path, services.project),
        "at": iso(source.clock.now()),
    }


def _limits(settings: SessionSettings) -> dict[str, Decimal]:
    """Return what the session is held to, for whoever reads its record: each with its unit in its name."""
    return {
        "max_quote_age_s": settings.tripwires.max_quote_age_s,
        "max_spread_bps": settings.tripwires.max_spread_bps,
        "per_trade_notional_usd": settings.limits.per_trade_notional_usd,
        "notional_daily_cap_usd": settings.limits.notional_daily_cap_usd,
        "daily_fee_cap_usd": settings.limits.daily_fee_cap_usd,
        "daily_loss_limit_usd": settings.daily_loss_limit_usd,
        "max_drawdown_usd": settings.max_drawdown_usd,
    }


def _sum_up(session: Session, services: Services, source: WatchedQuotes, recorder: Recorder) -> SessionResult:
    tally, settings = session.tally, session.settings
    return SessionResult(
        mode=str(settings.mode),
        venue=services.profile.venue,
        quotes=source.name,
        realtime=source.realtime,
        symbols=list(settings.symbols),
        ended=session.ended,
        polls=tally.polls,
        steps=tally.steps,
        bars_decided=tally.bars_decided(settings.symbols),
        orders=tally.orders,
        orders_sent=tally.orders_sent,
        blocked=tally.blocked,
        rejected=tally.rejected,
        fills=tally.fills,
        turnover_usd=tally.turnover_usd,
        largest_trade_usd=tally.largest_trade_usd,
        notional_usd=session.router.use.notional_usd,
        opened_usd=session.router.use.opened_usd,
        fees_usd=session.router.use.fees_usd,
        pnl_usd=session.pnl_usd(),
        holds=tally.holds,
        hold_share_pct=round(max(map(session.breaker.hold_share_pct, settings.symbols)), 3),
        anomalies=list(session.breaker.anomalies),
        fallbacks=tally.fallbacks,
        halted=session.halted,
        locked_out=session.breaker.locked,
        flat=session.flat,
        left=session.left,
        loop_p95_ms=p95(session.phases.totals_ms),
        recording=shown_path(recorder.path, services.project),
    )


def shown_path(path: Path, project: Path) -> str:
    """Return `path` relative to the project when it lies inside it."""
    path, project = path.resolve(), project.resolve()
    return str(path.relative_to(project)) if path.is_relative_to(project) else str(path)
