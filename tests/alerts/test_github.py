"""Issues and branch protection, against a real HTTP server on loopback that keeps issues as GitHub does."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from aurora.alerts.github import Occurrence, file_issue, read_protection
from tests.github_server import CHECKS, SECRET, GitHub, serve_github
from tests.push_server import free_port


@pytest.fixture
def github() -> Iterator[GitHub]:
    """Return a GitHub on loopback."""
    with serve_github() as made:
        yield made


def occurrence(run: str = "run-1", fingerprint: str = "aaaa") -> Occurrence:
    """Return something that went wrong."""
    gate = {"check": "anomalies == []", "verdict": "red", "message": "", "seen": [("anomalies", f"['{SECRET}']")]}
    steps = [{"step": "paper", "status": "red", "error": "", "gates": [gate]}]
    facts = {"runbook": "maintenance", "run": run, "mode": "paper", "venue": "simulated", "profile": "sim"}
    return Occurrence(fingerprint, run, "maintenance: paper not green", {**facts, "opened": "now", "steps": steps})


def mask(text: str) -> str:
    """Take the secret out."""
    return text.replace(SECRET, "***")


def test_one_open_issue_a_fingerprint(github: GitHub) -> None:
    """The first time opens an issue, each later run is a comment, another fingerprint an issue of its own."""
    assert file_issue(github.environment, occurrence(), mask).action == "created"
    filed = file_issue(github.environment, occurrence("run-2"), mask)
    assert (filed.action, filed.number) == ("commented", 1)
    assert file_issue(github.environment, occurrence("run-3", "bbbb"), mask).number == 2
    assert [len(issue["said"]) for issue in github.issues] == [1, 0]


def test_a_run_is_told_of_once(github: GitHub) -> None:
    """A step that runs again after a crash finds what it filed: no second issue and no second comment."""
    for run in ("run-1", "run-1", "run-2", "run-2"):
        assert file_issue(github.environment, occurrence(run), mask).filed
    assert len(github.issues) == 1
    assert len(github.issues[0]["said"]) == 1


def test_a_closed_issue_is_not_taken_up(github: GitHub) -> None:
    """What comes back after its issue was closed is news: a new issue."""
    file_issue(github.environment, occurrence(), mask)
    github.issues[0]["state"] = "closed"
    assert file_issue(github.environment, occurrence("run-2"), mask).action == "created"


def test_the_body_names_the_gate_and_no_secret(github: GitHub) -> None:
    """The text has the report's head, the red gate with its values, and nothing that is secret."""
    file_issue(github.environment, occurrence(), mask)
    body = github.issues[0]["body"]
    for words in ("run `run-1`", "`paper` red", "gate `anomalies == []` red", "`anomalies = ['***']`", "profile sim"):
        assert words in body
    assert SECRET not in json.dumps(github.issues)
    assert github.tokens == {f"token {SECRET}"}


@pytest.mark.parametrize(
    ("status", "says"),
    [(401, "renew GITHUB_TOKEN"), (403, "right to issues"), (404, "no such repository"), (410, "no issues"),
     (422, "could not take"), (429, "patience"), (500, "answered 500"), (503, "answered 503")],
)  # fmt: skip
def test_each_refusal_is_a_named_line(github: GitHub, status: int, says: str) -> None:
    """Whatever GitHub answers is said with what to do, once, and stops nothing."""
    github.status = status
    filed = file_issue(github.environment, occurrence(), mask)
    assert (filed.filed, filed.action) == (False, "none")
    assert says in filed.note
    assert SECRET not in filed.note
    assert len(github.asked) == 1
    assert not read_protection(github.environment, "main", CHECKS).known


@pytest.mark.parametrize("raw", [b"<html>", b"[1, 2]", b'"text"', b"{}"])
def test_an_answer_of_another_form_is_a_named_line(github: GitHub, raw: bytes) -> None:
    """A proxy's page in place of GitHub's answer is no issue filed and no protection known."""
    github.raw = raw
    assert not file_issue(github.environment, occurrence(), mask).filed
    found = read_protection(github.environment, "main", CHECKS)
    assert (found.missing, len(found.not_green)) == (CHECKS, 4)


def test_no_network_is_a_named_line() -> None:
    """Where nothing listens, and where something hangs up, it is said, and the token is not in it."""
    environment = {"GITHUB_TOKEN": SECRET, "GITHUB_REPOSITORY": "desk/aurora"}
    environment["GITHUB_API_URL"] = f"http://127.0.0.1:{free_port()}"
    assert "can't be reached" in file_issue(environment, occurrence(), mask).note
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            server.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        environment["GITHUB_API_URL"] = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert "can't be reached" in file_issue(environment, occurrence(), mask).note
        thread.join()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"GITHUB_TOKEN": ""}, "GITHUB_TOKEN is not set"),
        ({"GITHUB_TOKEN": "  "}, "GITHUB_TOKEN is not set"),
        ({"GITHUB_REPOSITORY": ""}, "GITHUB_REPOSITORY is not set"),
        ({"GITHUB_REPOSITORY": "aurora"}, "write owner/name"),
        ({"GITHUB_API_URL": "http://github.example"}, "no https address"),
        ({"GITHUB_API_URL": "ftp://x"}, "no https address"),
        ({"GITHUB_API_URL": "http://[::1"}, "no https address"),
    ],
)
def test_without_a_token_it_is_a_note(github: GitHub, changes: dict[str, str], says: str) -> None:
    """What is missing in the environment is a note and no error; the token goes to no address in the clear."""
    filed = file_issue({**github.environment, **changes}, occurrence(), mask)
    assert not filed.filed
    assert says in filed.note
    assert github.asked == []


def test_a_protected_branch_with_green_checks(github: GitHub) -> None:
    """All four checks are required, and each one's last run was green."""
    found = read_protection(github.environment, "main", CHECKS)
    assert (found.known, found.missing, found.not_green) == (True, [], [])


def test_a_check_that_is_not_required_is_missing(github: GitHub) -> None:
    """A branch that asks for three of four checks, or is not protected at all, is not protected."""
    github.required = CHECKS[1:]
    assert read_protection(github.environment, "main", CHECKS).missing == ["Smoke / smoke"]
    github.required = None
    assert read_protection(github.environment, "main", CHECKS).missing == CHECKS


@pytest.mark.parametrize("end", ["failure", "cancelled", "skipped", "neutral", None])
def test_a_last_run_that_was_no_success_is_not_green(github: GitHub, end: str | None) -> None:
    """Only success is green: skipped, neutral, still running and no run at all are not."""
    github.runs["model_eval"] = end  # type: ignore[assignment] # a run that goes on has no conclusion
    del github.runs["Datasanity"]
    found = read_protection(github.environment, "main", CHECKS)
    assert found.not_green == ["Datasanity: no run", f"model_eval: {end or 'completed'}"]
