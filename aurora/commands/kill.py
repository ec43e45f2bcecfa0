"""`kill [--reason TEXT]` sets the kill flag; `kill --clear --reason TEXT` takes it away, which only a person may."""

from __future__ import annotations

import getpass
import sys

from aurora.clock import SystemClock, iso
from aurora.commands.acts import enter
from aurora.commands.parser import Invocation
from aurora.commands.person import require_person, signed_act, signer_in_words
from aurora.consent import clearing
from aurora.engine.project import Project
from aurora.errors import OperatorError, RecordError, UsageError
from aurora.evidence.persons import persons_of
from aurora.risk.kill_switch import KillSwitch
from aurora.risk.lockout import FOLDER, RECORD, record_act


def execute(project: Project, invocation: Invocation) -> int:
    """Set or clear it; 0 when it is as asked."""
    reason = invocation.options.reason.strip()
    switch = KillSwitch(project.root)
    return _clear(project, switch, reason) if invocation.options.clear else _set(project, switch, reason)


def _set(project: Project, switch: KillSwitch, reason: str) -> int:
    by = getpass.getuser()
    clock = SystemClock()
    is_new = switch.set(f"{iso(clock.now())} {by}: {reason or 'no reason given'}\n")
    sys.stdout.write(f"The kill flag is set: {switch.flag}{'' if is_new else ' (it was there already)'}.\n")
    sys.stdout.write("  Nothing opens any more; running sessions cancel their orders and end.\n")
    data = {"reason": reason, "by": by, "new": is_new}
    try:
        record_act(project.root, "killed", data, clock)
    except (OSError, RecordError) as error:
        sys.stderr.write(f"aurora: the flag holds, but {FOLDER}/{RECORD} can't be written: {error}\n")
    enter(project, "killed", data)
    return 0


def _clear(project: Project, switch: KillSwitch, reason: str) -> int:
    if not reason:
        raise UsageError(
            "Clearing the kill flag needs a reason.",
            means="the flag stays",
            todo="invoke kill --clear --reason TEXT",
        )
    by = require_person("Only a person clears the kill flag")
    said = switch.read()
    clock = SystemClock()
    act = {"reason": reason, "flag": said, "at": iso(clock.now())}
    must = bool(persons_of(project.runs))
    proof = signed_act(project, lambda: clearing(act), must=must, stays="the flag stays")
    if switch.read() != said:
        raise OperatorError(
            "The kill flag was set anew meanwhile.", means="the flag stays", todo="read it: invoke status"
        )
    data = {**act, "by": by, **proof}
    record_act(project.root, "kill.cleared", data, clock)
    switch.clear()
    enter(project, "kill.cleared", data)
    sys.stdout.write(f"The kill flag is gone; who and why is on record in {FOLDER}/{RECORD}.\n")
    sys.stdout.write(f"  {signer_in_words(proof)}\n")
    return 0
