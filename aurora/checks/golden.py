"""Golden: a recorded session, run again on its own quotes by the code of today, decides as it did."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aurora.errors import OperatorError
from aurora.market.mode import Mode
from aurora.session.services import Services
from aurora.session.settings import SessionRequest

if TYPE_CHECKING:
    from aurora.session.run import Attempt

MOST = 20
"""Differences that are listed; one early decision moves all after it."""

_VARIES = {
    "session.opened": {"profile", "versions", "quotes", "realtime", "orders", "venue", "session"},
    "poll": {"phase_times_ms"},
    "flatten": set[str](),
    "session.closed": set[str](),
}
"""By line: what two runs that decide alike may have of their own."""
_HAS = {
    "session.opened": ("session", "mode", "symbols", "settings"),
    "poll": ("n", "quotes", "holds"),
    "session.closed": ("result",),
}
_NESTED = ("result", "settings", "limits")
_RESULT_VARIES = {"loop_p95_ms", "recording", "quotes", "realtime", "venue"}


@dataclass(frozen=True)
class GoldenReplay:
    """Whether the session decided as it did. polls: that were compared. differences: the first, by line and field.

    recording: of the session that was run now.
    """

    same: bool
    polls: int
    differences: list[str]
    recording: str


def replay_golden(services: Services, golden: str, attempt: Attempt) -> GoldenReplay:
    """Run the session recorded at `golden`, relative to the project, again, and compare the two records line by line.

    Raises OperatorError for a record that can't be read, or is none of a paper or shadow session.
    """
    from aurora.session import run  # noqa: PLC0415 - lint imports this module, only workers need the loop

    lines = read_record(services.project / golden, golden)
    header, settings = lines[0], lines[0]["settings"]
    if header["mode"] not in (Mode.PAPER, Mode.SHADOW):
        raise OperatorError(
            f"{golden} is of a {header['mode']} session; a golden one is paper or shadow.", todo="record another one"
        )
    minutes = settings.get("minutes")
    request = SessionRequest(
        Mode(header["mode"]),
        tuple(header["symbols"]),
        f"replay:{golden}",
        steps=settings.get("steps"),
        minutes=None if minutes is None else Decimal(str(minutes)),
        until=settings.get("until"),
        poll_sec=Decimal(str(settings.get("poll_sec", services.profile.session.poll_sec))),
    )
    result = run.run_session(services, request, replace(attempt, id=header["session"]))  # its orders' refs come from it
    found = read_record(attempt.folder / run.RECORDING, result.recording)
    differences = list(_differences(lines, found))
    polls = sum(line["type"] == "poll" for line in found)
    return GoldenReplay(not differences and polls > 0, polls, differences[:MOST], result.recording)


def read_record(path: Path, name: str) -> list[dict[str, Any]]:
    """Return the lines of a session's whole record. Raises OperatorError when it is not one."""
    try:
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        types = [line["type"] for line in lines]
        without = [key for line in lines for key in _HAS.get(line["type"], ()) if key not in line]
    except OSError as error:
        raise _unreadable(name, str(error.strerror)) from error
    except (ValueError, TypeError, KeyError) as error:
        raise _unreadable(name, f"{type(error).__name__}: {error}") from error
    if without or set(types) - set(_VARIES):
        raise _unreadable(name, f"a line has no {without[0]}" if without else "it has lines of another kind")
    if types[:1] != ["session.opened"] or types[-1:] != ["session.closed"]:
        raise _unreadable(name, "it does not begin with session.opened and end with session.closed")
    return lines


def _unreadable(name: str, why: str) -> OperatorError:
    return OperatorError(
        f"{name} is no whole record of a session: {why}.",
        means="there is nothing to compare with",
        todo="record one: invoke runbook renew-golden",
    )


def _differences(golden: list[dict[str, Any]], found: list[dict[str, Any]]) -> Iterator[str]:
    for then, now in zip(golden, found, strict=False):
        where = f"poll {then['n']}" if then["type"] == "poll" else str(then["type"])
        if then["type"] != now["type"]:
            yield f"{where}: it is {now['type']} now"
            return
        yield from _fields(where, then, now, _VARIES[then["type"]])
    if len(golden) != len(found):
        yield f"the record had {len(golden)} lines, and has {len(found)} now"


def _fields(where: str, then: Mapping[str, Any], now: Mapping[str, Any], varies: set[str]) -> Iterator[str]:
    for key in then:  # what a record has only since then is no other decision
        if key in varies:
            continue
        if key in _NESTED and isinstance(now.get(key), dict):
            yield from _fields(f"{where}: {key}", then[key], now[key], _RESULT_VARIES)
        elif then[key] != now.get(key):
            yield f"{where}: {key} was {_shown(then[key])}, is {_shown(now.get(key))}"


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
