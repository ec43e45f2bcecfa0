"""The workflows run the named checks under the names that protect the branch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from aurora.governance.table import read_table
from tests.trading import ROOT


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield workflow, the name that GitHub shows for a job, and the job, each of a matrix by itself."""
    for path in sorted((ROOT / ".github/workflows").glob("*.yml")):
        workflow = yaml.safe_load(path.read_text())
        for job in workflow["jobs"].values():
            for row in job.get("strategy", {}).get("matrix", {}).get("include", [{}]):
                name = job["name"].replace("${{ matrix.name }}", row.get("name", ""))
                yield workflow["name"], name, {**job, "row": row}


def commands(job: dict[str, Any]) -> str:
    """Return what a job types."""
    typed = "\n".join(step["run"] for step in job["steps"] if "run" in step)
    return typed.replace("${{ matrix.check }}", job["row"].get("check", ""))


def test_each_named_check_is_a_job_of_that_name() -> None:
    """What governance.yaml calls a check is what GitHub calls its job, and the job runs that very check."""
    found = {name: job for workflow, name, job in jobs()} | {f"{each} / {name}": job for each, name, job in jobs()}
    for check in read_table(ROOT).values():
        assert check.named in found, check.named
        wanted = f"make named-check CHECK={check.name}" if check.runbook else "make test"
        assert wanted in commands(found[check.named]).splitlines()


def test_preflight_asks_for_names_that_there_are() -> None:
    """The required checks of preflight's look at the branch are those that block from phase 1 on."""
    runbook = yaml.safe_load((ROOT / "runbooks/preflight.yaml").read_text())
    (asked,) = [step["with"]["checks"] for step in runbook["steps"] if step["id"] == "branch"]
    assert sorted(asked) == sorted(check.named for check in read_table(ROOT).values() if check.phase == 1)


def test_a_job_may_read_and_nothing_else() -> None:
    """No workflow has a right beyond reading the code, and none names a secret."""
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        assert yaml.safe_load(path.read_text())["permissions"] == {"contents": "read"}
        assert "secrets." not in path.read_text()
