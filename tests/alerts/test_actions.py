from __future__ import annotations

from collections.abc import Iterator

import pytest

from aurora.alerts.actions import read_actions_secrets, read_check_time
from tests.github_server import SECRET, GitHub, serve_github
from tests.push_server import free_port

CHECK = "Smoke / smoke"


@pytest.fixture
def github() -> Iterator[GitHub]:
    """Return a GitHub on loopback."""
    with serve_github() as made:
        yield made


@pytest.mark.parametrize(
    ("secrets", "variables", "missing", "exposed"),
    [
        (["NTFY_URL", "IB_ACCOUNT", "OTHER"], [], [], []),
        (["NTFY_URL"], ["IB_ACCOUNT"], [], []),
        (["IB_ACCOUNT"], [], ["NTFY_URL"], []),
        ([], [], ["IB_ACCOUNT", "NTFY_URL"], []),
        (["IB_ACCOUNT"], ["NTFY_URL"], ["NTFY_URL"], ["NTFY_URL"]),
        (["NTFY_URL", "IB_ACCOUNT"], ["NTFY_URL"], [], ["NTFY_URL"]),
    ],
)
def test_names_in_actions(
    secrets: list[str], variables: list[str], missing: list[str], exposed: list[str], github: GitHub
) -> None:
    """A secret is to be a secret there, any other name a secret or a variable; a secret that can be read is named."""
    github.secrets, github.variables = secrets, variables
    found = read_actions_secrets(github.environment, ["NTFY_URL"], ["IB_ACCOUNT"])
    assert (found.known, found.missing, found.exposed) == (True, missing, exposed)


@pytest.mark.parametrize(("took", "seconds"), [(41, 41), (59, 59), (60, 60), (130, 130)])
def test_time_of_the_last_run(took: int, seconds: int, github: GitHub) -> None:
    """From the check's start to its end, whether it is named with its workflow or without."""
    github.took = {"smoke": took}
    found = read_check_time(github.environment, "main", CHECK)
    assert found.known
    assert found.took_s == seconds


@pytest.mark.parametrize(
    ("runs", "took", "said"),
    [
        ({}, 41, "has no run"),
        ({"smoke": "failure"}, 41, "ended failure"),
        ({"smoke": None}, 41, "ended None"),
        ({"smoke": "success"}, None, "does not say how long"),
    ],
)
def test_a_check_without_a_good_end_has_no_time(
    runs: dict[str, str], took: int | None, said: str, github: GitHub
) -> None:
    """A check that did not run, failed, or has no end is not known to be quick."""
    github.runs, github.took = runs, {"smoke": took}
    found = read_check_time(github.environment, "main", CHECK)
    assert not found.known
    assert said in found.note


@pytest.mark.parametrize(
    ("status", "says"),
    [(401, "renew GITHUB_TOKEN"), (403, "GitHub forbids it"), (404, "no such repository"), (429, "patience"),
     (500, "answered 500"), (503, "answered 503")],
)  # fmt: skip
def test_each_refusal_is_a_named_line_and_not_known(github: GitHub, status: int, says: str) -> None:
    """Whatever GitHub answers is said with what to do; nothing is green that was not answered."""
    github.status = status
    secrets = read_actions_secrets(github.environment, ["NTFY_URL"], [])
    time = read_check_time(github.environment, "main", CHECK)
    assert (secrets.known, secrets.missing, time.known) == (False, ["NTFY_URL"], False)
    assert says in secrets.note
    assert says in time.note
    assert SECRET not in secrets.note


@pytest.mark.parametrize("raw", [b"<html>", b"[1, 2]", b'{"secrets": 3}'])
def test_an_answer_of_another_form_is_not_known(github: GitHub, raw: bytes) -> None:
    """A proxy's page is no list of secrets."""
    github.raw = raw
    assert not read_actions_secrets(github.environment, ["NTFY_URL"], []).known
    assert not read_check_time(github.environment, "main", CHECK).known


def test_no_network_is_not_known() -> None:
    """Where nothing listens nothing is known."""
    nowhere = {"GITHUB_TOKEN": SECRET, "GITHUB_REPOSITORY": "desk/aurora"}
    nowhere["GITHUB_API_URL"] = f"http://127.0.0.1:{free_port()}"
    assert "can't be reached" in read_check_time(nowhere, "main", CHECK).note
