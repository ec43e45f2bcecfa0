"""Who types a command, where only a person at a terminal may."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from typing import Any

from aurora.engine.project import Project
from aurora.engine.prompts import Nobody, person_at
from aurora.errors import OperatorError, RecordError, UsageError
from aurora.evidence.persons import PersonSignatory


def require_person(what: str) -> str:
    """Return the name of the person at this terminal; `what` begins the sentence that refuses everybody else."""
    person = person_at(lambda _: None, os.environ)
    if isinstance(person, Nobody):
        raise UsageError(
            f"{what}, and there is none here: {person.reason}.",
            means="nothing was changed",
            todo="type the command at a terminal",
        )
    return getpass.getuser()


def signed_act(project: Project, text: Callable[[], bytes], *, must: bool, stays: str) -> dict[str, Any]:
    """Return `live` and the `signature` of an act outside of runs, as records keep them.

    It is signed where it `must` be, and where a person's key is named; `signature` is None anywhere else.
    Raises OperatorError when it isn't; `stays` says what that leaves as it is.
    """
    signatory = PersonSignatory(project.root, project.runs)
    if not must and not signatory.is_configured:
        return {"live": False, "signature": None}
    try:
        return {"live": must, "signature": signatory.sign(text()).plain()}
    except RecordError as error:
        raise OperatorError(f"It is not signed. {error.what}", means=stays, todo=error.todo) from error


def signer_in_words(proof: dict[str, Any]) -> str:
    """Return who signed an act, or why nobody did, for the person who did it."""
    signature = proof["signature"]
    if signature is None:
        return "it is not signed, as no real money hangs on it"
    return f"signed by {signature['principal']} with {signature['key']}"
