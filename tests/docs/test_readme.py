"""README.md: what a newcomer types from it works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, blocks
from tests.engine.kit import INVOKE

PAGE = "../README.md"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """This project as a newcomer has it, with the runbook and the step of the page in the files that they name."""
    clone = tmp_path / "clone"
    skip = shutil.ignore_patterns("__pycache__")
    for folder in ("runbooks", "steps", "profiles"):
        shutil.copytree(ROOT / folder, clone / folder, ignore=skip)
    for name in ("tasks.py", "pyproject.toml"):
        shutil.copy(ROOT / name, clone)
    (book,), (step,) = blocks(PAGE, "yaml"), blocks(PAGE)
    assert step.text.startswith("# steps/weather.py\n")
    (clone / "steps/weather.py").write_text(step.text)
    (clone / "runbooks/open-check.yaml").write_text(book.text)
    return clone


def typed(clone: Path, words: str) -> subprocess.CompletedProcess[str]:
    """Type a command in the clone."""
    return subprocess.run(
        [*INVOKE, *words.split()],
        cwd=clone,
        env={"PATH": os.environ["PATH"], "HOME": str(clone), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.slow
def test_the_runbook_and_the_step_work(clone: Path) -> None:
    """The page's runbook lints, is rehearsed, and asks; so it does with the page's step in it."""
    assert typed(clone, "lint").returncode == 0
    assert typed(clone, "explain open-check").returncode == 0
    asked = typed(clone, "runbook open-check --symbols SPY,TSLA")
    assert (asked.returncode, "sure  declined" in asked.stdout) == (5, True), asked.stdout + asked.stderr
    (line,) = re.findall(r"`(- \{id: .*?\})` under `steps:`", (ROOT / "README.md").read_text())
    book = clone / "runbooks/open-check.yaml"
    book.write_text(book.read_text().replace("  - id: sure", f"  {line}\n  - id: sure"))
    rehearsed = typed(clone, "runbook open-check --dry-run")
    assert (rehearsed.returncode, "sky  passed" in rehearsed.stdout) == (0, True), rehearsed.stdout + rehearsed.stderr


def test_every_page_that_is_named_is_there() -> None:
    """Links of the documentation lead to files that exist."""
    for page in (ROOT / "README.md", *ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text("utf-8")):
            assert (page.parent / link).exists(), f"{page.name} leads to {link}"
