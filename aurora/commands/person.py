"""Who types a command, where only a person at a terminal may."""

from __future__ import annotations

import getpass
import os

from aurora.engine.prompts import Nobody, person_at
from aurora.errors import UsageError


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
