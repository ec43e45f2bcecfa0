"""What a runbook says, as frozen values; built by the loader, read by everything else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from aurora.engine.document import Document, Key
from aurora.engine.expressions import Expression

Severity = Literal["blocking", "advisory"]
Kind = Literal["uses", "runbook", "confirm", "gate"]

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
LONGEST_S = 366 * 86400.0
_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str) -> float:
    """Return a duration such as `30s`, `10m`, `1.5h` in seconds. Raises ValueError when it is not one."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write a number and a unit, such as 30s, 10m or 12h")
    found = float(match[1]) * _UNIT[match[2]]
    if found > LONGEST_S:
        raise ValueError(f"{text!r} is longer than a year")
    return found


@dataclass(frozen=True)
class Param:
    """A runbook's parameter and command-line flag: a subset of JSON Schema, with `help`."""

    name: str
    schema: Mapping[str, Any]
    help: str = ""
    required: bool = False
    default: Any = None

    @property
    def type(self) -> str:
        """Return its JSON type: string, integer, number, boolean or array; empty when it could not be read."""
        return str(self.schema.get("type", ""))

    @property
    def python_type(self) -> Any:
        """Return the type that expressions and step functions see."""
        plain = {"string": str, "integer": int, "number": Decimal, "boolean": bool}
        if self.type == "array":
            inner = plain.get(self.schema.get("items", {}).get("type", ""), Any)
            return list[inner]  # type: ignore[valid-type]
        return plain.get(self.type, Any)

    @property
    def flag(self) -> str:
        """Return how it is written on the command line."""
        return "--" + self.name.replace("_", "-")


@dataclass(frozen=True)
class Poll:
    """A gate that waits (engine rule 7): while it is red its step is called again, `every` seconds, `for_` at most."""

    every: float
    for_: float


@dataclass(frozen=True)
class Gate:
    """A condition that must hold after its step."""

    check: Expression
    severity: Severity = "blocking"
    message: str | None = None
    key: Key = ()
    poll: Poll | None = None


@dataclass(frozen=True)
class Retry:
    """How often a step may be tried, and how long to wait between (seconds)."""

    max_attempts: int
    delay: float = 1.0
    backoff: float = 1.0
    max_delay: float = 300.0
    on: tuple[str, ...] = ()

    def wait_before(self, attempt: int) -> float:
        """Return the seconds to wait before `attempt` (2 is the first retry)."""
        return min(self.delay * self.backoff ** (attempt - 2), self.max_delay)


@dataclass(frozen=True)
class Foreach:
    """Run the step once for each item of a list, which expressions see as `as_`; `concurrency` of them at a time."""

    items: Any
    as_: str = "item"
    concurrency: int = 1


@dataclass(frozen=True)
class OnFailure:
    """What a failed step leads to: `abort`, `continue`, or a runbook."""

    action: Literal["abort", "continue", "runbook"] = "abort"
    runbook: str = ""
    with_: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One step as written. Exactly one of uses, runbook, confirm is set, or none when it only has gates.

    `damaged` names the keys that could not be read: what is wrong with them is told already.
    """

    id: str
    kind: Kind
    key: Key
    title: str = ""
    uses: str | None = None
    runbook: str | None = None
    confirm: str | None = None
    checklist: tuple[str, ...] = ()
    with_: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] | None = None
    if_: Expression | None = None
    gates: tuple[Gate, ...] = ()
    retry: Retry | None = None
    timeout: float | None = None
    fresh: float | None = None
    """How old its result may be when the run is resumed (engine rule 19), seconds."""
    foreach: Foreach | None = None
    on_failure: OnFailure = OnFailure()
    dry_run: Literal["run", "skip", "simulate"] | None = None
    damaged: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Requirement:
    """Evidence that another run must have left: of which runbook, which outcome, how old at most, what in common."""

    runbook: str
    outcome: str = "green"
    within: str = ""
    same: tuple[str, ...] = ()


@dataclass(frozen=True)
class Schedule:
    """When a runbook is due: a cron expression of five fields in a time zone. Durations in seconds.

    calendar:     an exchange's name; on days without a session nothing is due. Empty: every day counts.
    before_close: what must be left until the calendar's close; None asks for nothing.
    window:       how late a run may begin. catch_up: whether the last one missed is made up for.
    overlap:      while the run before is still going: leave this one out, or wait for its end inside the window.
    with_:        the parameters it is run with.
    """

    cron: str
    zone: str
    calendar: str = ""
    before_close: float | None = None
    window: float = 600.0
    catch_up: Literal["none", "last"] = "none"
    overlap: Literal["skip", "wait"] = "skip"
    with_: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Runbook:
    """A whole runbook; `document` knows where each part stands.

    incomplete: steps or their order could not be read, so a name that is missing may be one of theirs.
    """

    name: str
    title: str
    document: Document = field(repr=False)
    params: Mapping[str, Param] = field(default_factory=dict)
    requires: tuple[Requirement, ...] = ()
    steps: tuple[Step, ...] = ()
    finally_: tuple[Step, ...] = ()
    lock: str | None = None
    red_exit: int | None = None
    schedule: Schedule | None = None
    incomplete: bool = False
