"""The pytest plugin: the fixtures `rehearsal` and `rehearsal_project`, and what a failed test shows of its runs."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aurora.engine.project import find_project
from aurora.testing.rehearsal import Rehearsal


@pytest.fixture(scope="session")
def rehearsal_project(pytestconfig: pytest.Config) -> Path:
    """The root of the project whose runbooks are rehearsed: around pytest's root folder. Override it for another."""
    return find_project(pytestconfig.rootpath).root


@pytest.fixture
def rehearsal(rehearsal_project: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """Rehearse a runbook: `rehearsal("go-live", steps={…}, answers="all yes")`; its records lie in `tmp_path`."""
    with steps_given_back():
        shared = tmp_path_factory.getbasetemp() / "aurora"
        yield Rehearsal(find_project(rehearsal_project), tmp_path / "rehearsals", shared=shared)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show below a failed test how each run that it rehearsed ended, and why."""
    report = yield
    rehearsed = getattr(item, "funcargs", {}).get("rehearsal")
    if report.failed and isinstance(rehearsed, Rehearsal) and rehearsed.runs:
        report.sections.append(("rehearsed", "\n".join(map(str, rehearsed.runs))))
    return report


@contextmanager
def steps_given_back() -> Iterator[None]:
    """Give `sys.path` and the package `steps` back to whoever had them; the engine binds both to the project."""
    path = list(sys.path)
    before = {name: module for name, module in sys.modules.items() if _is_step(name)}
    try:
        yield
    finally:
        sys.path[:] = path
        for name in [name for name in sys.modules if _is_step(name) and name not in before]:
            del sys.modules[name]
        sys.modules.update(before)


def _is_step(name: str) -> bool:
    return name == "steps" or name.startswith("steps.")
