"""Heads of the ledger outside this machine: written into a text, found again in it, and held against the ledger.

A head that was told to somebody else is what a rollback, a rewrite and a fork can't take back. When it was received, by
the receiver's own clock, also shows a line that was dated back: a head is told as soon as its line is written.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aurora.evidence.ledger import NAME, Head, LedgerText

LATEST = timedelta(seconds=120)
"""How long after its line was dated a head may arrive, and how much earlier: two clocks, and a network."""

_HEAD = re.compile(r"\baurora ([A-Za-z0-9._-]{1,64}) ([0-9]{1,12}) ([0-9a-f]{64})\b")
_TIME = re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?: ?Z\b|[+-]\d\d:?\d\d)")
_TAIL = 1 << 16
_RECEIVED = ("received", "created_at", "time", "date")
"""Keys of a saved message that say when a server took it: ntfy's `time` (Unix), GitHub's `created_at`."""


@dataclass(frozen=True)
class Witnessed(Head):
    """A head as somebody else has it. received: when, by their clock (aware), if that is known. desk: whose it is."""

    received: datetime | None = None
    desk: str = ""


def desk_name(text: str) -> str:
    """Return `text` as the word that stands for a desk in its heads."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-")[:64] or "desk"


def head_line(desk: str, head: Head) -> str:
    """Return a head as it is told."""
    return f"aurora {desk_name(desk)} {head.seq} {head.sha256}"


def last_head(runs: Path) -> Head | None:
    """Return the head of the ledger as it lies there: nothing is verified, and no lock is waited for.

    None when there is no ledger, or none whose last line can be read.
    """
    try:
        with (runs / NAME).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            tail = file.read(_TAIL)
        lines = tail[: tail.rfind(b"\n") + 1].splitlines(keepends=True)
        return Head(int(json.loads(lines[-1])["seq"]), hashlib.sha256(lines[-1]).hexdigest()) if lines else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_witness(word: str) -> Witnessed | None:
    """Read `SEQ:SHA256` or `SEQ:SHA256@RECEIVED`, with a time that names its zone; None when it is neither."""
    match = re.fullmatch(r"([0-9]{1,12}):([0-9a-f]{64})(?:@(.+))?", word)
    if match is None:
        return None
    received = _time(match[3]) if match[3] else None
    return None if match[3] and received is None else Witnessed(int(match[1]), match[2], received)


def witnesses_in(text: str) -> Iterator[Witnessed]:
    """Yield each head in saved messages, whatever surrounds it.

    When one was received is known where its line is a JSON object with a receiver's time, as ntfy and GitHub give them,
    or holds one time with its zone. A list of such objects is read as well.
    """
    try:
        messages = json.loads(text)
    except (ValueError, RecursionError):
        messages = None
    if isinstance(messages, dict | list):
        yield from _in_message(messages, None)
        return
    for line in text.splitlines():
        try:
            message = json.loads(line) if line.lstrip().startswith("{") else None
        except (ValueError, RecursionError):
            message = None
        if message is not None:
            yield from _in_message(message, None)
        else:
            times = _TIME.findall(line)
            yield from _in_text(line, _time(times[0]) if len(times) == 1 else None)


def skews(ledger: LedgerText, witnessed: Head) -> str | None:
    """Return what is wrong with the time of the line that a head is of, when the head's receipt is known; else None."""
    received = witnessed.received if isinstance(witnessed, Witnessed) else None
    if received is None or not 1 <= witnessed.seq <= len(ledger.events):
        return None
    event = ledger.events[witnessed.seq - 1]
    at = _time(event.ts)
    if at is not None and abs(received - at) <= LATEST:
        return None
    shown = f"{received.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return f"line {event.seq} of the ledger is dated {event.ts}, and its head was received at {shown}"


def _in_message(message: Any, received: datetime | None) -> Iterator[Witnessed]:
    if isinstance(message, str):
        yield from _in_text(message, received)
    elif isinstance(message, list):
        for each in message:
            yield from _in_message(each, received)
    elif isinstance(message, dict):
        own = next((time for key in _RECEIVED if (time := _time(message.get(key))) is not None), received)
        for each in message.values():
            yield from _in_message(each, own)


def _in_text(text: str, received: datetime | None) -> Iterator[Witnessed]:
    for match in _HEAD.finditer(text):
        yield Witnessed(int(match[2]), match[3], received, match[1])


def _time(value: Any) -> datetime | None:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        found = datetime.fromisoformat(value.replace(" Z", "Z")) if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None
    return found if found is not None and found.tzinfo is not None else None
