"""What an auditor types to check a run: three commands, with ssh-keygen, jq and sha256sum, and nothing of Aurora's."""

from __future__ import annotations

import re

from aurora.evidence.signing import ENGINE, RUN
from aurora.evidence.statement import FILE, SIGNATURE

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def stock_commands(run: str) -> tuple[str, ...]:
    """Return the commands, to be typed in the folder of the records; none for a name that a shell could misread."""
    if not _PLAIN.fullmatch(run):
        return ()
    return (
        f"ssh-keygen -Y verify -f allowed_signers -I {ENGINE} -n {RUN} -s {run}/{SIGNATURE} < {run}/{FILE}",
        f"jq -r '.subject[]|\"\\(.digest.sha256)  \\(.name)\"' {run}/{FILE} | sha256sum -c --strict",
        "tail -1 ledger.jsonl | sha256sum",
    )
