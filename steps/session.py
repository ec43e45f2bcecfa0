"""Steps that run a session: paper, shadow, live, and the rehearsal of the kill switch."""

from __future__ import annotations

from decimal import Decimal

from aurora.engine.context import Context
from aurora.engine.registry import Verdict, step
from aurora.market.mode import Mode
from aurora.session.result import KillRehearsal, SessionResult, sample_rehearsal, sample_result
from aurora.session.services import Services
from aurora.session.validation import RecordCheck, validate_record

STOP_GRACE_S = 90.0
"""A session that is asked to stop lets its orders end and flattens, for up to a minute, before it returns."""


@step(repeat="safe", sample=sample_result("paper"), dry_run="simulate", stop_grace=STOP_GRACE_S)
def paper(
    context: Context[Services],
    symbols: list[str],
    quotes: str = "dummy",
    steps: int | None = None,
    minutes: Decimal | None = None,
    until: str | None = None,
    poll_sec: Decimal | None = None,
) -> SessionResult:
    """Run a paper session: quotes as asked, fills simulated in a book of its own."""
    return _run(context, Mode.PAPER, symbols, quotes, steps, minutes, until, poll_sec)


@step(repeat="safe", sample=sample_result("shadow"), dry_run="simulate", venue=True, stop_grace=STOP_GRACE_S)
def shadow(
    context: Context[Services],
    symbols: list[str],
    quotes: str = "dummy",
    steps: int | None = None,
    minutes: Decimal | None = None,
    until: str | None = None,
    poll_sec: Decimal | None = None,
) -> SessionResult:
    """Run a shadow session: everything is computed, nothing is sent."""
    return _run(context, Mode.SHADOW, symbols, quotes, steps, minutes, until, poll_sec)


def _read_end(context: Context[Services], **_: object) -> Verdict:
    """Say what a live session whose worker is gone has done, where its record has an end; else only a person can."""
    from aurora.session.remains import read_remains  # noqa: PLC0415 - as in `_run`
    from aurora.session.run import RECORDING  # noqa: PLC0415 - the same

    found = read_remains(context.artifacts / RECORDING)
    return Verdict("unknown" if found.result is None else "done", found.result, found.said)


@step(
    effects=("orders.open", "orders.reduce"),
    repeat="never",
    verify=_read_end,
    sample=sample_result("live"),
    venue=True,
    stop_grace=STOP_GRACE_S,
)
def live(
    context: Context[Services],
    symbols: list[str],
    quotes: str = "dummy",
    steps: int | None = None,
    minutes: Decimal | None = None,
    until: str | None = None,
    poll_sec: Decimal | None = None,
) -> SessionResult:
    """Run a live session: orders go to the profile's venue. It ends flat, also after a lockout."""
    return _run(context, Mode.LIVE, symbols, quotes, steps, minutes, until, poll_sec)


@step(repeat="never", sample=sample_rehearsal())
def rehearse_kill_switch(context: Context[Services], symbols: list[str], quotes: str = "dummy") -> KillRehearsal:
    """Set the real kill flag under a running paper session; it must halt, and nothing may open."""
    from aurora.session import rehearsal, run  # noqa: PLC0415 - lint imports this module, only workers need the loop

    attempt = run.Attempt(context.token, context.artifacts, context.progress, lambda: context.stopping)
    found = rehearsal.rehearse_kill_switch(context.services, tuple(symbols), quotes, attempt)
    context.log(f"alert: {found.notice}")
    return found


@step(repeat="safe", dry_run="skip")
def validate(context: Context[Services], recording: str) -> RecordCheck:
    """Hold a session's record against its published schema (`invoke schema session`)."""
    return validate_record(context.project / recording, recording)


def _run(
    context: Context[Services],
    mode: Mode,
    symbols: list[str],
    quotes: str,
    steps: int | None,
    minutes: Decimal | None,
    until: str | None,
    poll_sec: Decimal | None,
) -> SessionResult:
    from aurora.session import run, settings  # noqa: PLC0415 - lint imports this module, only workers need the loop

    request = settings.SessionRequest(mode, tuple(symbols), quotes, steps, minutes, until, poll_sec)
    attempt = run.Attempt(context.token, context.artifacts, context.progress, lambda: context.stopping, context.grant)
    return run.run_session(context.services, request, attempt)
