"""`keys init|list`: the keys that sign records, and who may sign what."""

from __future__ import annotations

import json
import sys
from typing import Any

from aurora.commands.parser import Invocation
from aurora.engine.project import Project
from aurora.errors import ProjectError
from aurora.evidence.keys import ensure_key, fingerprint, key_path, read_signers


def execute(project: Project, invocation: Invocation) -> int:
    """Make the engine's key unless there is one, or list the keys that records may be signed with."""
    made = ensure_key(project.root, project.runs) if invocation.options.action == "init" else ""
    key = key_path(project.root)
    own = fingerprint(key) if key.is_file() else None
    keys = _keys(project, own)
    if invocation.options.json:
        sys.stdout.write(json.dumps({"key": str(key), "fingerprint": own, "made": bool(made), "signers": keys}) + "\n")
        return 0
    lines = [made] if made else []
    lines += [
        f"the engine signs with {key} ({own})" if own else f"there is no key at {key}; make one: invoke keys init"
    ]
    lines += [
        f"  {each['principals']}  {each['options']}  {each['fingerprint']}{'  (this engine)' if each['own'] else ''}"
        for each in keys
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


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
            "fingerprint": signer.fingerprint,
            "own": signer.fingerprint == own,
        }
        for signer in signers
    ]
