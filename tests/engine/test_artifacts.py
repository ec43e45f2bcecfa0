"""Artifacts are scanned: one that holds a secret is taken out of the record and its step is red (engine rule 24)."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from aurora.engine.artifacts import CHUNK, collect
from aurora.engine.secrets import Masker
from tests.engine.kit import Lab

SECRET = "tok-5f2e91c0aa"
MASKER = Masker({"LAB_TOKEN": SECRET})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return the folder of a run, with an attempt's artifacts folder in it."""
    (tmp_path / "runs" / "r1" / "artifacts" / "a" / "1").mkdir(parents=True)
    return tmp_path / "runs" / "r1"


@pytest.mark.parametrize(
    "raw",
    [
        SECRET.encode(),
        b"\x00\xff binary " + SECRET.encode() + b"\x00",
        SECRET.encode("utf-16"),
        base64.b64encode(b"user:" + SECRET.encode()),
        b"x" * (CHUNK - 5) + SECRET.encode(),
        b"x" * (2 * CHUNK - 1) + SECRET.encode() + b"x" * CHUNK,
    ],
    ids=["text", "binary", "utf-16", "base64", "across two pieces", "far inside"],
)
def test_a_secret_is_found_wherever_it_stands(run: Path, raw: bytes) -> None:
    """In text, binary, other encodings, and where the file is read in pieces: the file leaves the run's folder."""
    path = run / "artifacts" / "a" / "1" / "deep" / "out.txt"
    path.parent.mkdir()
    path.write_bytes(raw)
    (entry,) = collect(run / "artifacts" / "a" / "1", run, MASKER)
    assert (entry["sha256"], entry["bytes"]) == (None, len(raw))
    assert not path.exists()
    kept = run.parent.parent / entry["quarantined"]
    assert kept.read_bytes() == raw
    assert stat.S_IMODE((run.parent / ".quarantine").stat().st_mode) == 0o700


def test_what_holds_none_is_listed_and_left(run: Path) -> None:
    """A file that only looks alike stays where it is, with its digest."""
    path = run / "artifacts" / "a" / "1" / "out.txt"
    path.write_text(SECRET[:-1])
    (entry,) = collect(path.parent, run, MASKER)
    assert (entry["name"], len(entry["sha256"])) == ("artifacts/a/1/out.txt", 64)
    assert path.exists()


STEP = """
    from aurora.engine.context import Context
    from aurora.engine.registry import step

    @step(repeat="safe")
    def leak(context: Context, text: str) -> None:
        (context.artifacts / "out.txt").write_text(text)
"""


def test_a_step_that_leaves_a_secret_is_red(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engine rule 24: the run is red, the record names the file and holds nothing of it, what follows does not run."""
    monkeypatch.setenv("LAB_TOKEN", SECRET)
    lab.steps("leaks", STEP.replace("write_text(text)", 'write_text(__import__("os").environ["LAB_TOKEN"])'))
    lab.book("\n    steps:\n      - {id: a, uses: leaks.leak, with: {text: x}}\n      - {id: b, uses: lab.work}\n")
    ran = lab.run()
    assert (ran.outcome, ran.code, ran.statuses) == ("red", 3, {"a": "red", "b": "omitted"})
    assert ran.end("a")["error"]["type"] == "SecretInArtifact"
    left = [path for path in ran.folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert left == []


def test_the_report_says_where_it_is(lab: Lab) -> None:
    """Both reports show the file as moved, and nothing of what it held."""
    lab.steps("leaks", STEP.replace("write_text(text)", 'write_text(__import__("os").environ["LAB_TOKEN"])'))
    lab.book("\n    steps:\n      - {id: a, uses: leaks.leak, with: {text: x}}\n")
    assert lab.command("runbook", "book", env={"LAB_TOKEN": SECRET}).returncode == 3
    for name in ("report.md", "report.html"):
        text = (lab.last().folder / name).read_text()
        assert "held a secret" in text
        assert SECRET not in text
