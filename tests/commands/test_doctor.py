"""`doctor`: each thing that can be off is found and said with what to type."""

from __future__ import annotations

from pathlib import Path

import pytest

from aurora.clock import SystemClock
from aurora.commands.doctor import Finding, examine
from aurora.engine.project import Project
from aurora.evidence.keys import ensure_key
from aurora.evidence.signers import add_person
from aurora.journal import Journal
from tests.evidence.people import make_key


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project with one sound runbook."""
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks/ask.yaml").write_text("runbook: ask\nsteps: [{id: sure, confirm: Sure?}]\n")
    (tmp_path / "runs").mkdir()
    return Project(tmp_path)


def bad(project: Project) -> list[Finding]:
    """Return the bad findings."""
    return [finding for finding in examine(project) if finding.verdict == "bad"]


def test_a_sound_project_has_nothing_bad(project: Project) -> None:
    """A sound set-up is green, with versions and disk said."""
    assert bad(project) == []
    assert any("Python" in finding.what for finding in examine(project))


def test_faults_are_pointed_to_lint(project: Project) -> None:
    """A runbook with faults is bad, and lint is what to type."""
    (project.runbooks / "ask.yaml").write_text("runbook: ask\n")
    assert [finding.todo for finding in bad(project)] == ["invoke lint"]


def test_an_open_env_file_is_bad(project: Project) -> None:
    """A .env that others can read is bad, with the chmod to type."""
    (project.root / ".env").write_text("A=b\n")
    (project.root / ".env").chmod(0o644)
    assert any(finding.todo.startswith("chmod 600") for finding in bad(project))


def test_services_that_do_not_import_are_bad(project: Project) -> None:
    """A services factory that can't be imported is bad before a run finds out."""
    broken = Project(project.root, "nowhere.at_all:services")
    assert any("nowhere.at_all" in finding.what for finding in bad(broken))


def test_an_unfinished_run_is_named_with_both_ways_on(project: Project) -> None:
    """A run that was left is a note that names resume and cancel."""
    folder = project.runs / "2026-01-01T000000Z-ask"
    folder.mkdir()
    journal = Journal.create(folder / "journal.jsonl")
    journal.append("run.opened", {"plan": [], "locks": ["trading"], "run": folder.name})
    journal.close()
    note = next(finding for finding in examine(project) if folder.name in finding.what)
    assert note.verdict == "note"
    assert "invoke resume" in note.todo
    assert "invoke cancel" in note.todo


def test_a_run_that_can_not_be_read_is_bad(project: Project) -> None:
    """A damaged journal is found, not stumbled over."""
    folder = project.runs / "2026-01-01T000000Z-ask"
    folder.mkdir()
    (folder / "journal.jsonl").write_text("no\njournal\n")
    assert any(folder.name in finding.what for finding in bad(project))


def test_persons_key_is_tried(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named key signs under a name, or is bad with what to do; where none is named nothing is said."""
    ensure_key(project.root, project.runs)
    assert not any("can sign here" in finding.what for finding in examine(project))
    key = make_key(tmp_path / "alice")
    monkeypatch.setenv("AURORA_PERSON_KEY", str(key))
    assert any("does not sign" in finding.what and "keys add" in finding.todo for finding in bad(project))
    now, public = SystemClock().now(), key.with_name("alice.pub")
    add_person(project.root, project.runs, "alice@desk", public, roles=("confirm",), until=None, now=now)
    assert any(finding.what.startswith("alice@desk can sign here") for finding in examine(project))
