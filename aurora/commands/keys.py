"""`keys init|list|add`: the keys that sign records, and who may sign what."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

from aurora.clock import SystemClock
from aurora.commands.acts import enter
from aurora.commands.parser import Invocation
from aurora.engine.faults import did_you_mean, visible
from aurora.engine.project import Project
from aurora.errors import ProjectError, UsageError
from aurora.evidence.keys import ensure_key, fingerprint, key_path, read_signers
from aurora.evidence.signers import ROLES, add_person, roles_of, until_of


def execute(project: Project, invocation: Invocation) -> int:
    """Make the engine's key unless there is one, list the keys that records may be signed with, or enter a person's."""
    options = invocation.options
    _refuse_strays(options)
    if options.action == "add":
        return _add(project, options)
    made = ensure_key(project.root, project.runs) if options.action == "init" else ""
    key = key_path(project.root)
    own = fingerprint(key) if key.is_file() else None
    keys = _keys(project, own)
    if options.json:
        sys.stdout.write(json.dumps({"key": str(key), "fingerprint": own, "made": bool(made), "signers": keys}) + "\n")
        return 0
    lines = [made] if made else []
    lines += [
        f"the engine signs with {key} ({own})" if own else f"there is no key at {key}; make one: invoke keys init"
    ]
    lines += [_shown(each) for each in keys]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _shown(each: dict[str, Any]) -> str:
    end = f"  before {each['until']}" if each["until"] else ""
    own = "  (this engine)" if each["own"] else ""
    return visible(f"  {each['principals']}  {', '.join(each['roles'])}{end}  {each['fingerprint']}{own}")


def _add(project: Project, options: argparse.Namespace) -> int:
    if options.principal is None or options.file is None:
        raise UsageError(
            "keys add needs a name and a file.", means="nothing was changed", todo="keys add alice@desk alice.pub"
        )
    roles = _roles(options.roles)
    until = _day(options.until)
    now = SystemClock().now()
    key = add_person(
        project.root, project.runs, options.principal, Path(options.file), roles=roles, until=until, now=now
    )
    data = {"principal": options.principal, "key": key.fingerprint, "roles": list(roles), "until": options.until}
    enter(project, "key.added", data)
    if options.json:
        sys.stdout.write(json.dumps(data) + "\n")
        return 0
    end = f", until the end of {until} (UTC)" if until else ""
    sys.stdout.write(f"{options.principal} may {' and '.join(roles)} with {key.fingerprint}{end}.\n")
    sys.stdout.write(f"  It stands in {project.shown(project.runs / 'allowed_signers')}; give your auditor a copy.\n")
    return 0


def _roles(text: str | None) -> tuple[str, ...]:
    words = tuple(ROLES) if text is None else tuple(dict.fromkeys(text.split(",")))
    for word in words:
        if word not in ROLES:
            hint = did_you_mean(word, ROLES)
            raise UsageError(
                f"{word!r} is no role of a person{'; ' + hint if hint else '.'}",
                means="nothing was changed",
                todo=f"the roles are: {', '.join(ROLES)}",
            )
    return words


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--until {text!r} is no day.", means="nothing was changed", todo="write it so: 2027-12-31"
        ) from None


def _refuse_strays(options: argparse.Namespace) -> None:
    given = [name for name in ("principal", "roles", "until") if getattr(options, name) is not None]
    if options.action != "add" and given:
        raise UsageError(
            f"keys {options.action} takes no {given[0]}.", means="nothing was changed", todo="see keys --help"
        )


def _keys(project: Project, own: str | None) -> list[dict[str, Any]]:
    path = project.runs / "allowed_signers"
    if not path.is_file():
        return []
    try:
        signers = list(read_signers(path))
    except OSError as error:
        raise ProjectError(f"{path} can't be read: {error.strerror}.", todo="mend its permissions") from error
    return [
        {
            "principals": signer.principals,
            "options": signer.options,
            "roles": roles_of(signer),
            "until": until_of(signer),
            "fingerprint": signer.fingerprint,
            "own": signer.fingerprint == own,
        }
        for signer in signers
    ]
