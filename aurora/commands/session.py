"""`session`: one session by hand, without a runbook: paper, shadow, or live against the simulated venue.

It leaves `sessions/ID/` with the session's record and `summary.json`. That is no run: nothing of it is sealed, and no
runbook takes it for evidence.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from itertools import islice
from pathlib import Path
from typing import Any

from aurora.clock import SystemClock
from aurora.commands.ending import Ending
from aurora.commands.parser import Invocation
from aurora.commands.session_summary import summary_lines
from aurora.commands.session_view import Beside
from aurora.desk import Desk
from aurora.engine.console import Output
from aurora.engine.faults import visible
from aurora.engine.profiles import load_profile
from aurora.engine.project import Project
from aurora.engine.secrets import Masker, read_environment, secrets_of
from aurora.errors import AuroraError, OperatorError, RecordError, SafetyStop, UsageError, VenueRefusal
from aurora.grant import SIMULATED
from aurora.journal import plain
from aurora.market.mode import Mode
from aurora.profile import Profile
from aurora.session.result import SessionResult
from aurora.session.run import RECORDING, Attempt, run_session
from aurora.session.settings import SessionRequest, check_request

FOLDER = "sessions"
SUMMARY = "summary.json"
REFUSED, RED, INTERRUPTED = 2, 3, 7


def execute(project: Project, invocation: Invocation) -> int:
    """Run it; 0 when it ended as it was to, 2 refused, 3 an anomaly, a lockout or the kill flag, 7 interrupted."""
    options = invocation.options
    profile = load_profile(project, options.profile)
    request = _request(profile, options)
    desk = Desk(project.root, profile, read_environment(project.root))
    summary: dict[str, Any] = {
        "session": "", "mode": request.mode, "venue": profile.venue, "profile": profile.name, "quotes": request.quotes,
        "symbols": request.symbols, "sealed": False, "exit_code": None, "error": "", "result": None,
    }  # fmt: skip
    folder = _new_folder(project.root)
    summary["session"] = folder.name
    error: AuroraError | None = None
    try:
        result = _watched(desk, request, folder, quiet=options.json)
        summary["result"], summary["exit_code"] = vars(result), exit_code_of(result)
    except AuroraError as refusal:
        error = refusal
        mask = Masker(secrets_of(profile.secrets, desk.environment)).text
        summary["error"], summary["exit_code"] = mask(error.diagnostics()), _code_of_error(error, folder / RECORDING)
    _leave(project, folder, summary, as_json=options.json)
    if error is not None:
        raise _Ended(error, summary["exit_code"]) from error
    return int(summary["exit_code"])


class _Ended(AuroraError):
    """The error that ended the session, with the exit code of the session."""

    def __init__(self, error: AuroraError, exit_code: int) -> None:
        super().__init__(error.what, means=error.means, todo=error.todo)
        self.exit_code = exit_code


def exit_code_of(result: SessionResult) -> int:
    """Return a session's exit code: 3 outweighs 7, a red outweighs who ended it."""
    if result.anomalies or result.fallbacks or result.locked_out or result.halted or not result.flat:
        return RED
    return INTERRUPTED if result.ended == "it was asked to stop" else 0


def _code_of_error(error: AuroraError, recording: Path) -> int:
    """Return 2 for what refused to begin: no poll is on record; the error's own code for what broke on the way."""
    try:
        with recording.open("rb") as record:
            has_begun = any(line.startswith(b'{"type":"poll"') for line in islice(record, 2))
    except OSError:
        has_begun = recording.exists()
    refuses = isinstance(error, OperatorError | VenueRefusal | SafetyStop)
    return REFUSED if refuses and not has_begun else error.exit_code


def _request(profile: Profile, options: Any) -> SessionRequest:
    mode = Mode.SHADOW if options.shadow else Mode(profile.mode)
    if mode is Mode.LIVE and profile.venue != SIMULATED:
        raise UsageError(
            f"The profile {profile.name} is live on the venue {profile.venue}: a session by hand may not open orders "
            "there.",
            means="only a run whose guards have passed has the grant that the router asks for; nothing was run",
            todo=f"invoke runbook go-live --profile {profile.name}, or add --shadow",
        )
    symbols = tuple(word.strip() for word in options.symbols.split(","))
    if "" in symbols:
        raise UsageError(f"--symbols was {options.symbols!r}.", means="nothing was run", todo="write it like SPY,TSLA")
    request = SessionRequest(
        mode, symbols, options.quotes, steps=options.steps, minutes=options.minutes, poll_sec=options.poll_sec
    )
    check_request(request)
    return request


def _new_folder(root: Path) -> Path:
    """Make the session's own folder; its name is its id, and sorts as sessions began."""
    now = SystemClock().now()
    stamp = f"{now:%Y-%m-%dT%H%M%S}.{now.microsecond // 1000:03d}Z"
    folder = root / FOLDER / f"{stamp}-{secrets.token_hex(2)}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise RecordError(
            f"The session's folder can't be made: {folder}: {error.strerror}.",
            means="nothing was traded: a session without a record is none",
            todo="mend the folder sessions/ (permissions, space)",
        ) from error
    return folder


def _watched(desk: Desk, request: SessionRequest, folder: Path, *, quiet: bool) -> SessionResult:
    beside = None if quiet else Beside(folder / RECORDING, desk.project)
    try:
        with Ending(lambda: None if beside is None else beside.close()) as ending:
            attempt = Attempt(folder.name, folder, is_stopping=lambda: ending.asked)
            return run_session(desk, request, attempt)
    finally:
        if beside is not None:
            beside.close()


def _leave(project: Project, folder: Path, summary: dict[str, Any], *, as_json: bool) -> None:
    """Write the summary, and say it; a session that left no record leaves no folder."""
    text = json.dumps(summary, indent=2, default=plain) + "\n"
    if not any(folder.iterdir()):
        folder.rmdir()
        return
    out = Output(sys.stdout)
    try:
        with (folder / SUMMARY).open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        (folder / SUMMARY).unlink(missing_ok=True)  # half a summary is none
        Output(sys.stderr).write(f"aurora: {project.shown(folder / SUMMARY)} can't be written: {error.strerror}\n")
    if as_json:
        out.write(text)
    else:
        out.write("".join(f"{visible(line)}\n" for line in summary_lines(summary, project.shown(folder))))
