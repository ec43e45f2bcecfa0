"""The other desk, as somebody has it who installed Aurora and copied it: real processes, nothing of this checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DESK = ROOT / "examples/other-desk"
AURORA = [
    sys.executable,
    "-c",
    "from importlib.metadata import entry_points as e; (s,) = e(group='console_scripts', name='aurora'); s.load()()",
]
INVOKE = [sys.executable, "-m", "invoke"]
PROGRAMS = pytest.mark.parametrize("program", [AURORA, INVOKE], ids=["aurora", "invoke"])
TRADING = "market brokers quotes risk execution session ibkr gateway analytics governance desk".split()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install Aurora's wheel into a folder of its own."""
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


class Copy:
    """A copy of the desk, in which programs run with what was installed."""

    def __init__(self, root: Path, site: Path) -> None:
        self.root, self.site = root, site

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON"))}
        env = {**kept, "PYTHONPATH": str(self.site), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "error"}
        return subprocess.run(
            words, cwd=self.root, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100
        )

    def statuses(self) -> dict[str, str]:
        """Return how each step of the newest run ended."""
        folder = max((self.root / "runs").glob("2*"))
        events: list[dict[str, Any]] = [
            json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()
        ]
        return {e["data"]["step"]: e["data"]["status"] for e in events if e["type"] == "step.finished"}

    @property
    def shutter(self) -> str:
        """Return where the dome's shutter stands."""
        return (self.root / "shutter.txt").read_text()


@pytest.fixture
def copy(installed: Path, tmp_path: Path) -> Copy:
    """Copy the desk to a folder with a space in its name."""
    root = tmp_path / "my observatory"
    shutil.copytree(DESK, root, ignore=shutil.ignore_patterns("runs", "shutter.txt", "__pycache__", ".pytest_cache"))
    return Copy(root, installed)


def test_what_runs_is_what_was_installed(copy: Copy) -> None:
    """The tests below prove the wheel, not this checkout."""
    done = copy(sys.executable, "-c", "import aurora; print(aurora.__file__)")
    assert Path(done.stdout.strip()).is_relative_to(copy.site)


@PROGRAMS
def test_it_lints(copy: Copy, program: list[str]) -> None:
    """`aurora lint` and `invoke lint` find no fault in it."""
    done = copy(*program, "lint")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2 runbooks and 3 profiles: no faults\n"


@PROGRAMS
def test_a_night_is_run(copy: Copy, program: list[str]) -> None:
    """A night with scripted answers is green, took its pictures, and left the dome closed and a report."""
    done = copy(*program, "runbook", "night", "--targets", "M31,M33", "--answers", "answers/clear.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "GREEN" in done.stdout
    assert copy.statuses()["pictures[1]"] == "passed"
    assert copy.shutter == "closed"
    assert len(list(copy.root.glob("runs/*/artifacts/pictures*/1/M3*.txt"))) == 2
    assert len(list(copy.root.glob("runs/*/report.md"))) == 1


def test_nobody_there_is_a_no(copy: Copy) -> None:
    """Without a terminal the dome is not opened: exit 5, and it is closed all the same."""
    done = copy(*AURORA, "runbook", "night")
    assert done.returncode == 5, done.stdout + done.stderr
    assert copy.statuses()["shutter"] == "omitted"
    assert copy.shutter == "closed"


def test_a_script_does_not_open_the_real_dome(copy: Copy) -> None:
    """Answers from a file work on the simulated venue only; nothing is run."""
    done = copy(*AURORA, "runbook", "night", "--profile", "hilltop", "--answers", "answers/clear.yaml")
    assert done.returncode == 2
    assert "--answers works with a simulated venue only" in done.stderr
    assert not list(copy.root.glob("runs/2*"))


def test_a_dry_run_opens_nothing(copy: Copy) -> None:
    """A dry run is amber and moves nothing."""
    done = copy(*INVOKE, "runbook", "night", "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "AMBER" in done.stdout
    assert not (copy.root / "shutter.txt").exists()


def test_its_own_tests_pass(copy: Copy) -> None:
    """Pytest finds Aurora's plugin by itself, and the desk's tests pass; they leave nothing in the desk."""
    done = copy(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert sorted(path.name for path in copy.root.iterdir()) == sorted(
        path.name for path in DESK.iterdir() if path.name not in ("runs", "shutter.txt", "__pycache__", ".pytest_cache")
    )


def test_no_trading_comes_along(copy: Copy) -> None:
    """A whole run, with lint, gates and report, imports nothing of Aurora's trading rooms."""
    script = f"""
import sys
from aurora.commands.main import main
code = main(["runbook", "night", "--answers", "answers/clear.yaml"])
trading = {TRADING!r}
found = [name for name in sys.modules if name.startswith(tuple(f"aurora.{{room}}" for room in trading))]
assert (code, found) == (0, []), (code, found)
"""
    done = copy(sys.executable, "-c", script)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_names_what_is_there() -> None:
    """Each file that the README's picture shows exists, and it stays a page of 30 lines."""
    text = (DESK / "README.md").read_text()
    for name in "runbooks/ steps/ profiles/ observatory.py pyproject.toml tasks.py tests/ answers/clear.yaml".split():
        assert name in text
        assert (DESK / name).exists()
    assert text.count("\n") <= 34
