"""Witnesses: heads of the ledger that left this machine, as they were announced, and when who keeps them received them.

A head is announced in one line, `aurora DESK SEQ SHA256`, in the text of an alert; verify reads it from wherever it was
kept: typed, in a saved alert, or in the JSON lines that an ntfy server gives out, which say when it received each.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aurora.evidence.ledger import Head

SKEW = timedelta(seconds=120)
"""How far a line's time may be from when its witness received it."""

_LINE = re.compile(r"\baurora (?P<desk>\S{1,80}) (?P<seq>[0-9]{1,12}) (?P<sha256>[0-9a-f]{64})\b")
_TYPED = re.compile(r"(?P<seq>[0-9]{1,12}):(?P<sha256>[0-9a-f]{64})(?:@(?P<at>\S+))?")


@dataclass(frozen=True)
class Witness:
    """A head that was announced; received: when, by the clock of who keeps it (aware), None where nobody says."""

    head: Head
    received: datetime | None = None


def announcement(desk: str, head: Head) -> str:
    """Return the line that announces a head."""
    return f"aurora {desk_name(desk)} {head.seq} {head.sha256}"


def desk_name(text: str) -> str:
    """Return a name that can stand in an announcement and in a branch's name."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:60] or "desk"


def typed_witness(word: str) -> Witness:
    """Return what `SEQ:SHA256` or `SEQ:SHA256@TIME` says; a time is ISO 8601 with its zone. Raises ValueError."""
    match = _TYPED.fullmatch(word)
    if match is None:
        raise ValueError("it is no SEQ:SHA256")
    return Witness(_head(match), None if match["at"] is None else _time(match["at"]))


def saved_witnesses(text: str, desk: str) -> Iterator[Witness]:
    """Yield each head of a desk's ledger that saved alerts announce.

    A line of JSON as an ntfy server gives it out has the server's own time in it; other lines have none, whatever they
    say of themselves.
    """
    for line in text.splitlines():
        received = None
        try:
            data = json.loads(line)
        except ValueError:
            data = None
        if isinstance(data, dict) and isinstance(data.get("message"), str):
            seconds = data.get("time")
            if isinstance(seconds, int) and not isinstance(seconds, bool) and 0 < seconds < 1 << 33:
                received = datetime.fromtimestamp(seconds, UTC)
            line = data["message"]  # noqa: PLW2901 - the message is what the line carries
        for match in _LINE.finditer(line):
            if match["desk"] == desk_name(desk):
                yield Witness(_head(match), received)


def _head(match: re.Match[str]) -> Head:
    return Head(int(match["seq"]), match["sha256"])


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("its time has no zone")
    return at
