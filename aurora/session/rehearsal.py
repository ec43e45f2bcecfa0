"""Rehearses the kill switch: a session runs, the real flag is written, the session must halt and nothing may open."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from aurora.alerts.base import Alert, Priority
from aurora.execution.router import Stage
from aurora.market.mode import Mode
from aurora.market.order import Order, Side
from aurora.risk.kill_switch import RehearsalFlag
from aurora.session.loop import Session
from aurora.session.result import KillRehearsal
from aurora.session.run import Attempt, run_session
from aurora.session.services import Services
from aurora.session.settings import SessionRequest

FLAG_AFTER_POLLS = 3


def rehearse_kill_switch(services: Services, symbols: tuple[str, ...], quotes: str, attempt: Attempt) -> KillRehearsal:
    """Run a paper session on `quotes`, set the flag in its third poll, and report what happened.

    Raises SafetyStop when a flag is there already; then nothing is written or removed.
    """
    switch = services.kill_switch
    flags: list[RehearsalFlag] = []
    polls: list[int] = [0]
    times: list[float] = []
    stages: list[Stage] = []

    def set_flag(done: float, total: float | None, label: str) -> None:
        polls[0] += 1
        attempt.on_progress(done, total, label)
        if polls[0] == FLAG_AFTER_POLLS:
            flags.append(switch.write_rehearsal_flag())
            times.append(services.clock.monotonic())

    def try_to_open(session: Session) -> None:
        times.append(services.clock.monotonic())
        stages.append(_offer_order(session, symbols[0]))

    request = SessionRequest(Mode.PAPER, symbols, quotes, steps=FLAG_AFTER_POLLS)
    try:
        result = run_session(
            services, request, replace(attempt, on_progress=set_flag, tells_kill=False), after_run=try_to_open
        )
    finally:
        removed = bool(flags) and switch.remove_rehearsal_flag(flags[0])
    halted = result.halted and result.polls == FLAG_AFTER_POLLS
    notice = services.notify(_alert(services, halted, attempt.id))
    return KillRehearsal(
        halted=halted,
        opening_refused=stages == [Stage.KILL],
        notified=notice.delivered,
        notice=notice.detail,
        flag_removed=removed,
        polls=result.polls,
        polls_after_flag=result.polls - FLAG_AFTER_POLLS,
        halt_ms=Decimal(str(round((times[-1] - times[0]) * 1000, 3))) if len(times) == 2 else Decimal(0),
        recording=result.recording,
    )


def _alert(services: Services, halted: bool, attempt: str) -> Alert:
    text = (
        "The kill flag halted a session. No action is needed." if halted else "A session DID NOT HALT at the kill flag."
    )
    tags = ("rehearsal", "kill-switch")
    # each rehearsal is to be seen on the phone: it is never the repetition of one before
    return Alert(
        "Rehearsal of the kill switch", text, Priority.HIGH, tags, services.clock.now(), key=f"rehearsal {attempt}"
    )


def _offer_order(session: Session, symbol: str) -> Stage:
    """Offer the router an order of one share that would pass every other check."""
    now, bid = session.clock.now(), session.bids.get(symbol, Decimal(1))
    order = Order("kill-rehearsal", symbol, Side.BUY, 1, bid, now, bid)
    return session.router.route(order, session.latest(symbol)).stage
