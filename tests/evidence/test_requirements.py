"""`requires:` finds sealed evidence in the ledger, or says which run came nearest and why it does not do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aurora.clock import SystemClock
from aurora.engine.execute import start_run
from aurora.engine.records import find_run
from aurora.errors import OperatorError, RunNotFound
from aurora.evidence.archive import archive_of, archive_run
from aurora.evidence.keys import ensure_key
from aurora.evidence.requirements import Asking, check_requirements
from aurora.journal import read_journal
from tests.engine.kit import bound_steps
from tests.evidence.sealed import BOOK, Records, now

ASKING = """
    params:
      day: {type: string, default: monday}
      profile: {type: string, default: base}
    requires:
      - {runbook: book, outcome: green, within: 12h, same: [profile, day]}
    steps:
      - {id: a, gate: 1 == 1}
"""


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    """A desk with a runbook, and one that requires evidence of it."""
    with bound_steps():
        records = Records(tmp_path / "project")
        records.lab.book(ASKING, "asking")
        ensure_key(records.lab.root, records.runs)
        yield records


def verdict(records: Records, **params: Any) -> dict[str, Any]:
    """Return what a run of the runbook that asks has on record; it says so too when it is refused."""
    folder = records.run("asking", **params)
    (found,) = read_journal(folder / "journal.jsonl").events[0].data["requires"]
    return dict(found)


def refusal(records: Records, **params: Any) -> str:
    """Return with what words a run is refused."""
    with pytest.raises(OperatorError) as caught:
        records.run("asking", **params)
    assert caught.value.exit_code == 2
    return caught.value.what


def asked(records: Records, within_s: float | None = 43_200, **asking: Any) -> dict[str, Any]:
    """Look evidence up as a run on the account that the profile `paper` names would."""
    facts = {"params": {"day": "monday", "profile": "paper"}, "simulated": False, "dry_run": False, "now": now()}
    wants = {"runbook": "book", "outcome": "green", "within": "12h", "within_s": within_s, "same": ["day"]}
    (found,) = check_requirements(records.runs, [wants], Asking(**{**facts, "profile_digest": "x", **asking}))
    return found


def test_sealed_green_run_meets_it(records: Records) -> None:
    """A green sealed run with the same parameters and profile, young enough, is the evidence; the record names it."""
    folder = records.run("book", profile="paper")
    found = verdict(records, profile="paper")
    assert (found["verdict"], found["run"]) == ("met", folder.name)


def test_an_archived_run_is_as_good_as_its_folder(records: Records) -> None:
    """Evidence that housekeeping put into an archive still meets what asks for it, and a damaged archive does not."""
    folder = records.run("book", profile="paper")
    archive_run(folder, records.key, SystemClock().now())
    assert not folder.exists()
    found = verdict(records, profile="paper")
    assert (found["verdict"], found["run"]) == ("met", folder.name)
    path = archive_of(records.runs, folder.name)
    path.write_bytes(path.read_bytes()[:-20])
    assert f"{folder.name} came nearest" in refusal(records, profile="paper")
    path.unlink()
    assert f"{folder.name} came nearest" in refusal(records, profile="paper")


def test_nothing_found_in_a_simulation_is_not_checked(records: Records) -> None:
    """Engine rule 25: on a simulated venue, nothing found is recorded as not checked; something found counts."""
    assert verdict(records)["verdict"] == "not checked"
    records.run("book")
    assert verdict(records)["verdict"] == "met"


def test_nothing_found_elsewhere_refuses_the_run(records: Records) -> None:
    """On a real venue nothing starts without its evidence: exit 2, no folder, no line in the ledger."""
    with pytest.raises(OperatorError) as caught:
        records.run("asking", profile="paper")
    assert "no run of book is sealed" in caught.value.what
    assert "invoke runbook book --profile paper" in caught.value.todo
    assert caught.value.exit_code == 2
    assert not list(records.runs.glob("2*"))
    assert not records.ledger.exists()


@pytest.mark.parametrize(
    ("run", "why"),
    [
        ({"good": False}, "it was red, not green"),
        ({"day": "friday"}, 'its day was "friday", not "monday"'),
    ],
)
def test_nearest_run_and_its_fault_are_named(records: Records, run: dict[str, Any], why: str) -> None:
    """The refusal says which run came nearest, and why it does not do."""
    folder = records.run("book", profile="paper", **run)
    said = refusal(records, profile="paper")
    assert f"{folder.name} came nearest" in said
    assert why in said


def test_nearest_is_the_one_with_the_fewest_faults(records: Records) -> None:
    """Of a red run of another day and a red run of today, the latter is nearest, though it is the older."""
    near = records.run("book", profile="paper", good=False)
    records.run("book", profile="paper", good=False, day="friday")
    assert f"{near.name} came nearest: it was red, not green." in refusal(records, profile="paper")


def test_simulated_evidence_does_not_serve_a_real_venue(records: Records) -> None:
    """Engine rule 25: what ran on a simulated venue is no evidence for a real one, whatever is compared."""
    records.run("book")
    assert "it ran on a simulated venue" in asked(records)["reason"]
    assert asked(records)["verdict"] == "missing"


def test_dry_run_serves_nobody_but_a_dry_run(records: Records) -> None:
    """Engine rule 25: a dry run proves nothing to a real one."""
    records.run("book", dry_run=True, profile="paper")
    assert "it was a dry run" in asked(records)["reason"]
    assert asked(records, dry_run=True)["verdict"] == "met"


def test_scripted_answers_serve_no_real_venue(tmp_path: Path) -> None:
    """Engine rule 25: a run whose questions a script answered is no evidence for a real venue."""
    with bound_steps():
        records = Records(tmp_path / "project", BOOK + "      - {id: ask, confirm: Ready?, checklist: [Yes it is]}\n")
        answers = records.lab.write("answers.yaml", "ask: yes\n")
        start_run(records.lab.project, "book", records.lab._params("book", {}), records.desk(), answers=answers)
        assert "its answers came from a script" in asked(records)["reason"]


def test_age_counts_from_the_end(records: Records) -> None:
    """Evidence older than `within`, or from the future, does not do; without `within` any age does."""
    records.run("book", profile="paper")
    later = now() + timedelta(hours=13)
    assert "it ended 13 h ago, and counts for 12h" in asked(records, now=later)["reason"]
    assert asked(records, now=later, within_s=None)["verdict"] == "met"
    assert "in the future" in asked(records, now=now() - timedelta(hours=1))["reason"]


def test_profile_is_compared_by_its_values(records: Records) -> None:
    """Engine rule 25: a profile of the same name with other values is another profile."""
    folder = records.run("book", profile="paper")
    path = records.lab.root / "profiles" / "paper.yaml"
    path.write_text(path.read_text().replace("400", "500"))
    assert f"{folder.name} came nearest: its profile paper had other values" in refusal(records, profile="paper")


def test_evidence_that_does_not_verify_is_none(records: Records) -> None:
    """A green run whose record was touched is no evidence, and the refusal says what verify says."""
    folder = records.run("book", profile="paper")
    (folder / "report.md").write_text("# Fine\n")
    assert "SUBJECT_DIGEST, report.md is not the file that was sealed" in refusal(records, profile="paper")


def test_ledger_that_does_not_verify_holds_no_evidence(records: Records) -> None:
    """A ledger that was touched is no place to look for evidence."""
    records.run("book", profile="paper")
    records.ledger.write_bytes(records.ledger.read_bytes().replace(b"green", b"amber"))
    assert "the ledger does not verify: LEDGER_SIGNATURE" in refusal(records, profile="paper")


def test_sub_runbook_is_evidence_of_itself(records: Records) -> None:
    """Engine rule 15: a runbook that ran inside another counts, with its own outcome and parameters."""
    records.lab.book(
        """
        params:
          profile: {type: string, default: base}
        steps:
          - {id: inner, runbook: book, with: {day: monday}, on_failure: continue}
          - {id: late, gate: 1 == 2}
        """,
        "outer",
    )
    folder = records.run("outer", profile="paper")
    assert verdict(records, profile="paper")["run"] == folder.name
    assert 'its day was "monday", not "friday"' in refusal(records, profile="paper", day="friday")


def test_archived_evidence_counts_where_it_lies(records: Records) -> None:
    """A run that went into its archive is evidence all the same; what opens a run names the archive."""
    folder = records.run("book", profile="paper")
    archive_run(folder, records.key, now())
    assert verdict(records, profile="paper")["run"] == folder.name
    with pytest.raises(RunNotFound, match="archived"):
        find_run(records.lab.project, folder.name)
