"""Random runbooks in a real engine that is killed and resumed, held against the rules (engine rules 8, 9, 11, 18)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from aurora.engine.state import RunState
from aurora.journal import read_journal
from tests.crash.drawn import ASKED, Drawn, drawings
from tests.crash.inline import Inline
from tests.crash.matrix import POINTS, Case, Driver, Engine
from tests.crash.rules import Rules, call_faults, order_faults
from tests.engine.kit import processes_in, wait_until

FOLDERS = itertools.count()
KILLS = st.lists(st.tuples(st.sampled_from(POINTS), st.integers(0, 99)), min_size=1, max_size=4)
TIMES = st.lists(st.floats(0.01, 0.6), min_size=1, max_size=3)


class DrawnCase(Case):
    """A run of a drawn runbook."""

    asked = ASKED

    def settled(self) -> dict[str, str]:
        """Return what a person says; at every other resume nobody is there, and the steps' own word must do."""
        legs = sum(event.type == "run.resumed" for event in self.events)
        return super().settled() if legs % 2 else {}

    def count(self, step: str) -> int:
        """Return how often a step has acted."""
        return sum(f":{step}:" in line and line.endswith("did") for line in self.effects)

    def judge(self, drawn: Drawn, *, killed: bool) -> None:
        """Hold the end, the order and the calls against the rules."""
        state = RunState.of(self.events)
        ends = {name: step.status for name, step in state.steps.items() if step.status != "pending"}
        faults = [
            *Rules(drawn, ends).check(str(state.outcome), int(state.exit_code or 0)),
            *order_faults(drawn, self.events),
            *call_faults(drawn, ends, self.effects, killed=killed),
        ]
        assert not faults, "\n".join([*faults, str(ends)])
        assert not read_journal(self.journal).torn
        wait_until(lambda: not processes_in(self.root), 10, "the end of all workers")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the projects lie."""
    return tmp_path_factory.mktemp("drawn")


def undisturbed(engine: Engine, drawn: Drawn, shelf: Path) -> tuple[Path, int, dict[str, Any]]:
    """Run a drawn runbook without a kill; return its project, how many lines it wrote, and how it ended."""
    folder = shelf / str(next(FOLDERS))
    case = DrawnCase(engine, drawn.write(folder / "project"), folder / "undisturbed")
    assert engine.engine("run", case.root, settle={}) == 0
    case.judge(drawn, killed=False)
    return folder, len(case.events), case.end()


def killed(engine: Engine, drawn: Drawn, shelf: Path, kills: Sequence[tuple[str, int, float | None]]) -> None:
    """Kill a run, and its resumes, and go on to the end: it is one that the rules allow."""
    folder, lines, end = undisturbed(engine, drawn, shelf)
    case = DrawnCase(engine, folder / "project", folder / "killed")
    for point, moment, after in kills:
        if case.events and case.events[-1].type == "run.finished":
            break
        if case.journal.exists() and not case.events:
            break  # its first line is torn: nothing was opened, and nothing can be resumed
        left = max(3, lines - len(case.events))
        case.kill("resume" if case.events else "run", point, 1 + moment % left, after)
    if not case.events:
        assert not case.effects
        return
    case.finish()
    case.judge(drawn, killed=True)
    if drawn.in_a_row:
        assert case.end() == end


REPEATABLE = {"deadline": None, "derandomize": True, "database": None, "suppress_health_check": list(HealthCheck)}
INLINE: Any = settings(max_examples=80, **REPEATABLE)  # type: ignore[arg-type]
REAL: Any = settings(max_examples=20, phases=[Phase.generate], **REPEATABLE)  # type: ignore[arg-type]
"""Real processes are too slow to shrink with; what they find is shrunk by hand, or by the inline engine."""


@INLINE
@given(drawn=drawings(), seed=st.integers(0, 1_000_000), kills=KILLS)
def test_any_run_ends_by_the_rules(shelf: Path, drawn: Drawn, seed: int, kills: list[tuple[str, int]]) -> None:
    """Whatever a runbook is and wherever its engine is killed, the rules allow the end; alone in a row, only one."""
    killed(Inline(seed), drawn, shelf, [(*kill, None) for kill in kills])


@REAL
@given(drawn=drawings(), kills=KILLS)
def test_any_killed_process_ends_by_the_rules(
    driver: Driver, shelf: Path, drawn: Drawn, kills: list[tuple[str, int]]
) -> None:
    """The same in real processes, killed at writes of their journals: no event lost, nothing twice, nobody left."""
    killed(driver, drawn, shelf, [(*kill, None) for kill in kills])


@pytest.mark.nightly
@pytest.mark.timeout(1_800)
@settings(INLINE, max_examples=2_000)
@given(drawn=drawings(), seed=st.integers(0, 1_000_000), kills=KILLS)
def test_many_runs_end_by_the_rules(shelf: Path, drawn: Drawn, seed: int, kills: list[tuple[str, int]]) -> None:
    """Whatever a runbook is and wherever its engine is killed, the rules allow the end; alone in a row, only one."""
    killed(Inline(seed), drawn, shelf, [(*kill, None) for kill in kills])


@pytest.mark.nightly
@pytest.mark.timeout(1_800)
@settings(REAL, max_examples=300)
@given(drawn=drawings(), kills=KILLS | TIMES)
def test_many_killed_processes_end_by_the_rules(
    driver: Driver, shelf: Path, drawn: Drawn, kills: list[tuple[str, int] | float]
) -> None:
    """The same in real processes, killed at writes of their journals or at any other time."""
    killed(driver, drawn, shelf, [("none", 0, kill) if isinstance(kill, float) else (*kill, None) for kill in kills])
