"""`emergency [--why TEXT]`: the runbook `emergency`; where it can't run, its parts without it, on no record.

A broken runbook folder, a full disk, a ledger without its key stop a run: nothing is run without a record. They must
not stop the way out. So each part is done as far as it goes: flag, flatten, lockout, alert; what failed is said.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal

from aurora.alerts.base import Alert, Priority
from aurora.clock import SystemClock, iso
from aurora.commands import run
from aurora.commands.parser import Invocation, parse
from aurora.engine.faults import visible
from aurora.engine.profiles import load_profile
from aurora.engine.project import Project
from aurora.engine.secrets import read_environment
from aurora.errors import AuroraError
from aurora.risk.kill_switch import KillSwitch
from aurora.session.emergency import flatten_account, lock_out
from aurora.session.services import Services

BOOK = "emergency"
BROKEN, NOT_DONE = 1, 3


def execute(project: Project, invocation: Invocation) -> int:
    """Return the run's exit code; without a run 0 when every part was done, else 3."""
    options = invocation.options
    words = ["runbook", BOOK, "--why", options.why, "--minutes", f"{options.minutes}", "--profile", options.profile]
    try:
        code = run.execute(project, parse(lambda: project, words, "aurora"))
    except KeyboardInterrupt:
        raise
    except Exception as error:  # noqa: BLE001 - whatever keeps the runbook from running keeps nobody from the exit
        _say(f"the runbook can't run: {_shown(error)}")
    else:
        if code != BROKEN:
            return code
        _say("the run broke off")
    _say("each part is done without it, on no record:")
    return _without_a_run(project, options.why, options.profile, options.minutes)


def _without_a_run(project: Project, why: str, profile: str, minutes: int) -> int:
    """Do each part, whatever became of the others."""
    done: dict[str, bool] = {}

    def attempt(part: str, action: Callable[[], bool]) -> None:
        try:
            done[part] = action()
        except Exception as error:  # noqa: BLE001 - what one part can't do keeps no other from its turn
            done[part] = False
            _say(f"✘ {part}: {_shown(error)}")
        else:
            _say(f"{'✔' if done[part] else '✘'} {part}")

    desks: list[Services] = []
    attempt("kill flag set", lambda: _stop(project, why))
    attempt("account known", lambda: _open(project, profile, desks))
    for desk in desks:
        attempt("flat", lambda desk=desk: _flatten(desk, minutes))  # type: ignore[misc]
        attempt("locked out", lambda desk=desk: lock_out(desk, why, BOOK).stands)  # type: ignore[misc]
    bad = [part for part, is_done in done.items() if not is_done]
    for desk in desks:
        attempt("told", lambda desk=desk: _tell(desk, why, bad))  # type: ignore[misc]
    if not done.get("flat"):
        _say("look in TWS, and: invoke flatten")
    return 0 if all(done.values()) else NOT_DONE


def _stop(project: Project, why: str) -> bool:
    switch = KillSwitch(project.root)
    switch.set(f"{iso(SystemClock().now())} emergency: {why or 'no reason given'}\n")
    return switch.is_set


def _open(project: Project, profile: str, desks: list[Services]) -> bool:
    from aurora.desk import Desk  # noqa: PLC0415 - only what trades builds a desk

    desks.append(Desk(project.root, load_profile(project.root, profile), read_environment(project.root)))
    return True


def _flatten(desk: Services, minutes: int) -> bool:
    done = flatten_account(desk, Decimal(minutes), _say, bool)
    if done.reason:
        _say(done.reason)
    return done.flat


def _tell(desk: Services, why: str, bad: list[str]) -> bool:
    said = f"NOT DONE: {', '.join(bad)}" if bad else "all done"
    text = f"reason: {why or 'none given'}\nno run could be made: this is on no record"
    alert = Alert(f"EMERGENCY on {desk.profile.venue}: {said}", text, Priority.URGENT, ("rotating_light",),
                  desk.clock.now())  # fmt: skip
    told = desk.notify(alert)
    if not told.delivered:
        _say(told.detail)
    return told.delivered or not desk.profile.alerts.push


def _shown(error: Exception) -> str:
    return error.what if isinstance(error, AuroraError) else f"{type(error).__name__}: {error}"


def _say(line: str) -> None:
    sys.stderr.write(f"emergency: {visible(line)}\n")
