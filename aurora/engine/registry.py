"""What a step function is: the `@step` decorator and what it declares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

Repeat = Literal["never", "safe"]
DryRun = Literal["run", "skip", "simulate"]
EFFECTS = ("orders.open", "orders.reduce")


@dataclass(frozen=True)
class StepInfo:
    """What a step function declares of itself (RULES 13, 17, 18).

    effects:    what it can do to a market: `orders.open`, `orders.reduce`.
    repeat:     `safe` may run again after a crash; `never` (the default) asks `verify`, or a person.
    dry_run:    what `--dry-run` does with it.
    sample:     the outputs that a simulated run reports.
    verify:     called with the step's own arguments after an unknown outcome; returns a `Verdict`.
    venue:      talks to a venue, so it gets a fresh worker of its own.
    stop_grace: seconds between TERM and KILL when the step is stopped.
    """

    effects: tuple[str, ...]
    repeat: Repeat
    dry_run: DryRun
    sample: Any
    verify: Callable[..., Any] | None
    venue: bool
    stop_grace: float


@dataclass(frozen=True)
class Verdict:
    """What a `verify` function found out about a step whose outcome is unknown."""

    answer: Literal["done", "not_done", "unknown"]
    outputs: Any = None
    reason: str = ""


def step(
    *,
    effects: tuple[str, ...] | list[str] = (),
    repeat: Repeat = "never",
    dry_run: DryRun | None = None,
    sample: Any = None,
    verify: Callable[..., Any] | None = None,
    venue: bool = False,
    stop_grace: float = 5.0,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declare a function as a step that runbooks may name with `uses`.

    Without `dry_run`, a step that is safe to repeat and has no effects runs under `--dry-run`; any other is simulated
    when it has a `sample`, and skipped when it has none.

    Raises ValueError when a declaration contradicts itself.
    """
    unknown = [effect for effect in effects if effect not in EFFECTS]
    if unknown:
        raise ValueError(f"Unknown effect {unknown[0]!r}; the effects are {', '.join(EFFECTS)}.")
    if effects and dry_run == "run":
        raise ValueError("A step with effects can't declare dry_run='run': it would act during a rehearsal.")
    if dry_run == "simulate" and sample is None:
        raise ValueError("dry_run='simulate' needs sample=…, the outputs that a simulated run reports.")
    if dry_run is None:
        if repeat == "safe" and not effects:
            dry_run = "run"
        else:
            dry_run = "skip" if sample is None else "simulate"
    info = StepInfo(tuple(effects), repeat, dry_run, sample, verify, venue, stop_grace)

    def declare(function: Callable[P, R]) -> Callable[P, R]:
        function.__aurora_step__ = info  # type: ignore[attr-defined]
        return function

    return declare


def step_info(function: Callable[..., Any]) -> StepInfo | None:
    """Return what `function` declared with `@step`, or None when it is not a step."""
    return getattr(function, "__aurora_step__", None)
