"""What a mocked step does: return outputs, pass, be red, raise, time out or die, once or attempt by attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aurora.engine.registry import Verdict


class RehearsalError(Exception):
    """A rehearsal says what can't be: no such step, outputs that a step could not have, a step without a mock.

    It fails the test; no outcome of a run can be taken for it.
    """


@dataclass(frozen=True)
class Outputs:
    """The step returns these outputs."""

    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Passes:
    """The step returns outputs with which all its gates pass; `fields` are fixed."""

    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Red:
    """The step returns outputs with which the gate `check` is red and its other gates pass; `fields` are fixed."""

    check: str | int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Raises:
    """The step raises."""

    error: BaseException


@dataclass(frozen=True)
class TimesOut:
    """The step has no end within its timeout; `verify` is what its verify function finds out afterwards."""

    verify: Verdict | None = None


@dataclass(frozen=True)
class Dies:
    """The step's worker process dies without an answer; `verify` is what its verify function finds out afterwards."""

    verify: Verdict | None = None


@dataclass(frozen=True)
class Real:
    """The step's own function runs, in this process."""


Mock = object
"""One of the outcomes above; a list of them, one an attempt; a function, called in the step's place with the step's
arguments (and the context, when its first parameter is called `context`); or a value, as the step returns it."""


def outputs(**fields: Any) -> Outputs:
    """Return outputs; each is checked against the step's return type.

    A field that is not given comes from the step's declared sample or its dataclass's default. One that has neither is
    blank (`0`, `""`, `[]` …) when nothing in the runbook reads it, and an error when a gate or a template does.
    """
    return Outputs(fields)


def passes(**fields: Any) -> Passes:
    """Look for outputs with which every gate of the step passes; `fields` are not touched.

    A step without gates returns its sample or blank outputs. A field that *another* step reads must be given.
    """
    return Passes(fields)


def red(check: str | int | None = None, /, **fields: Any) -> Red:
    """Look for outputs with which one blocking gate of the step is red and its other gates pass.

    check: the gate's text as written, or its number from 0; the first blocking gate unless given.
    """
    return Red(check, fields)


def raises(error: BaseException) -> Raises:
    """Let the step raise `error`."""
    return Raises(error)


def times_out(*, verify: Verdict | None = None) -> TimesOut:
    """Let the step run into the timeout that its runbook gives it; no time passes in the test.

    verify: what the step's verify function says then; needed when the step has one and must not be repeated.
    """
    return TimesOut(verify)


def dies(*, verify: Verdict | None = None) -> Dies:
    """Let the step's worker be killed: for a step that must not be repeated, an unknown outcome.

    verify: what the step's verify function says then; needed when the step has one and must not be repeated.
    """
    return Dies(verify)


def real() -> Real:
    """Run the step's own function in this process; the runbook's timeout does not end it there."""
    return Real()
