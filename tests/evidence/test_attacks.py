"""The attack table: each row done to records that were really sealed, and what verify says of it."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aurora.errors import LedgerDamaged
from aurora.evidence import signing
from aurora.evidence.ledger import Head, Ledger
from aurora.evidence.signing import SignatureRefused, Trust
from aurora.evidence.witness import Witnessed
from tests.engine.kit import bound_steps
from tests.evidence.sealed import Records, codes, copy_of, rechained, redigested


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Records]:
    """A desk with three sealed runs, the second of them red."""
    with bound_steps():
        records = Records(tmp_path_factory.mktemp("attacked") / "project")
        for day, good in (("monday", True), ("tuesday", False), ("wednesday", True)):
            records.run(day=day, good=good)
        assert not records.found()
        yield records


@pytest.fixture
def records(original: Records, tmp_path: Path) -> Records:
    """A copy of that desk, for one attack."""
    return copy_of(original, tmp_path / "project")


@pytest.fixture
def middle(records: Records) -> Path:
    """The folder of the second of its three runs."""
    return sorted(records.runs.glob("2*"))[1]


@pytest.fixture
def thief(tmp_path: Path) -> Path:
    """A key that nobody allowed."""
    return make_key(tmp_path / "thief")


def make_key(path: Path) -> Path:
    """Make a key without a passphrase."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True, stdin=subprocess.DEVNULL)
    return path


def sha256(raw: bytes) -> str:
    """Return a hash as the ledger writes it."""
    return hashlib.sha256(raw).hexdigest()


def change_lines(path: Path, change: Callable[[list[bytes]], object]) -> None:
    """Change the lines of a file and leave everything else as it is."""
    lines = path.read_bytes().splitlines(keepends=True)
    change(lines)
    path.write_bytes(b"".join(lines))


def drop_lines_of(records: Records, run: str) -> bytes:
    """Return the ledger without a run's lines, chained again."""
    return records.rewrite_ledger(
        lambda lines: lines.__setitem__(slice(None), [each for each in lines if each["data"]["run"] != run])
    )


# ── Rows 1 to 5: the journal ─────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(
            lambda lines: lines.__setitem__(3, lines[3].replace(b"red", b"sad").replace(b"passed", b"waived")),
            {"SUBJECT_DIGEST", "JOURNAL_CHAIN"},
            id="1 edit an event",
        ),
        pytest.param(lambda lines: lines.pop(3), {"SUBJECT_DIGEST", "JOURNAL_CHAIN"}, id="2 delete a line"),
        pytest.param(lambda lines: lines.pop(), {"SUBJECT_DIGEST", "JOURNAL_HEAD"}, id="3 truncate the tail"),
        pytest.param(
            lambda lines: lines.insert(2, lines.pop(3)), {"SUBJECT_DIGEST", "JOURNAL_CHAIN"}, id="4 reorder lines"
        ),
        pytest.param(lambda lines: lines.append(b"garbage"), {"SUBJECT_DIGEST", "JOURNAL_HEAD"}, id="5 append torn"),
        pytest.param(lambda lines: lines.append(b"{}\n"), {"SUBJECT_DIGEST", "JOURNAL_HEAD"}, id="5 append a line"),
    ],
)
def test_changed_journal_is_found(records: Records, middle: Path, change: object, expected: set[str]) -> None:
    """Rows 1 to 5: whatever is done to a journal shows in its digest, and in its chain or its end."""
    change_lines(middle / "journal.jsonl", change)  # type: ignore[arg-type]
    assert records.found() == expected
    assert records.found(middle.name) >= expected


def test_edited_report_is_found(records: Records, middle: Path) -> None:
    """Row 6: the page that people read is sealed as well as the journal."""
    path = middle / "report.html"
    path.write_text(path.read_text().replace("Red", "Green"))
    assert records.found() == {"SUBJECT_DIGEST"}
    assert records.found(middle.name) == {"SUBJECT_DIGEST", "REPORT_DRIFT"}


# ── Rows 7 to 11 and 18: the evidence ────────────────────────────────────────────────────────────────────────────────
def test_edited_evidence_is_found(records: Records, middle: Path) -> None:
    """Row 7: neither the signature nor the ledger knows evidence that was edited."""
    path = middle / "evidence.json"
    path.write_bytes(path.read_bytes().replace(b"FAILED", b"PASSED"))
    assert records.found() == {"SIGNATURE", "EVIDENCE_NOT_SEALED"}


def test_recomputed_digests_do_not_help(records: Records, middle: Path) -> None:
    """Row 8: who edits a file and mends its digest still has no signature, and the ledger sealed another one."""
    (middle / "report.md").write_text("# All is well\n")
    (middle / "evidence.json").write_bytes(redigested(middle))
    assert records.found() == {"SIGNATURE", "EVIDENCE_NOT_SEALED"}


def test_foreign_key_is_found(records: Records, middle: Path, thief: Path) -> None:
    """Row 9: a signature by a key that nobody allowed is none."""
    records.sign_evidence(middle, (middle / "evidence.json").read_bytes(), thief)
    assert records.found() == {"SIGNATURE", "EVIDENCE_NOT_SEALED"}


def test_signature_for_another_purpose_is_found(records: Records, middle: Path) -> None:
    """Row 10: what the engine's key signed for git is no seal."""
    records.sign_evidence(middle, (middle / "evidence.json").read_bytes(), namespace="git")
    assert records.found() == {"KEY_ROLE", "EVIDENCE_NOT_SEALED"}


def test_records_of_another_run_are_found(records: Records, middle: Path) -> None:
    """Row 11: a green run's valid records do not stand in for those of a red one."""
    green = sorted(records.runs.glob("2*"))[0]
    shutil.rmtree(middle)
    shutil.copytree(green, middle)
    assert {"EVIDENCE_NOT_SEALED", "RUN_MISMATCH"} <= records.found()


def test_duplicate_key_is_found(records: Records, middle: Path) -> None:
    """Row 18: evidence that two readers could read in two ways is refused, signed or not."""
    path = middle / "evidence.json"
    records.sign_evidence(middle, path.read_bytes().replace(b'"result":', b'"result":"PASSED","result":', 1))
    result = records.verify()
    assert codes(result) >= {"EVIDENCE_NOT_SEALED"}
    assert any("a key stands in it twice" in finding.what for finding in result.findings)


# ── Rows 12 to 17: whole runs ────────────────────────────────────────────────────────────────────────────────────────
def test_missing_folder_is_found(records: Records, middle: Path) -> None:
    """Row 12: the ledger remembers a run whose folder is gone."""
    shutil.rmtree(middle)
    assert records.found() == {"EVIDENCE_MISSING"}
    assert records.found(middle.name) == {"EVIDENCE_MISSING"}


def test_ledger_without_a_run_is_found(records: Records, middle: Path) -> None:
    """Row 13: whoever takes a run out of the ledger, too, can't sign what is left, and Aurora does not do it either."""
    shutil.rmtree(middle)
    change_lines(records.ledger, lambda lines: lines.__delitem__(slice(2, 4)))
    assert {"LEDGER_SIGNATURE", "LEDGER_CHAIN"} <= records.found()
    before = records.ledger.read_bytes()
    with pytest.raises(LedgerDamaged):
        records.keeper().ready(records.runs, simulated=True, must=True)
    assert records.ledger.read_bytes() == before


def test_missing_end_is_found(records: Records) -> None:
    """Row 14: the last run can't be made to never have been; a witness says it, too."""
    head, last = records.head(), sorted(records.runs.glob("2*"))[2]
    shutil.rmtree(last)
    change_lines(records.ledger, lambda lines: lines.__delitem__(slice(4, 6)))
    assert records.found() == {"LEDGER_SIGNATURE"}
    assert records.found(witnesses=[head]) == {"LEDGER_SIGNATURE", "WITNESS_MISMATCH"}


def test_run_that_is_never_sealed_is_found(records: Records) -> None:
    """Row 15: to leave the seal of a run away does not hide it, even with the key."""
    last = sorted(records.runs.glob("2*"))[-1]
    records.sign_ledger(records.rewrite_ledger(lambda lines: lines.pop()))
    for name in ("evidence.json", "evidence.json.sig"):
        (last / name).unlink()
    result = records.verify()
    assert codes(result) - {"WITNESS_ABSENT"} == {"RUN_UNSEALED"}
    assert any("opened but never sealed" in finding.what for finding in result.findings)


def test_inserted_folder_is_found(records: Records, middle: Path) -> None:
    """Row 16: a folder that the ledger does not know is nobody's run."""
    shutil.copytree(middle, records.runs / "2026-01-05T090000.000Z-book")
    assert records.found() == {"RUN_UNKNOWN"}


def test_line_that_goes_back_in_time_is_found(records: Records) -> None:
    """Row 17: whoever has the key can't put a line before one that is there."""

    def back(lines: list[dict[str, str]]) -> None:
        lines[3]["ts"] = "2020-01-01T00:00:00.000000Z"

    records.sign_ledger(records.rewrite_ledger(back))
    assert "TIME_REGRESSION" in records.found()


# ── Rows 19 to 22: with the key, only what left the machine helps ────────────────────────────────────────────────────
def test_rollback_needs_a_witness(records: Records) -> None:
    """Row 19: an older ledger with its own valid signature VERIFIES; only a head from outside tells."""
    last = sorted(records.runs.glob("2*"))[2]
    head = records.head()
    old = b"".join(records.ledger.read_bytes().splitlines(keepends=True)[:4])
    records.sign_ledger(old)  # equal to the signature that was there then: Ed25519 is deterministic
    shutil.rmtree(last)
    assert records.found() == set()
    assert "WITNESS_ABSENT" in codes(records.verify())
    assert records.found(witnesses=[head]) == {"WITNESS_MISMATCH"}


def test_rewrite_with_the_key_needs_a_witness(records: Records, middle: Path) -> None:
    """Row 20: with the stolen key a whole history can be written anew and VERIFIES; a witnessed head tells."""
    head = records.head()
    ledger = drop_lines_of(records, middle.name)
    shutil.rmtree(middle)
    records.sign_ledger(ledger)
    rest = sorted(records.runs.glob("2*"))
    last = rest[-1]  # its evidence names the place of its opening in the ledger, so it is made anew
    opening = next(
        (number, line)
        for number, line in enumerate(ledger.splitlines(keepends=True), start=1)
        if json.loads(line)["type"] == "run.opened" and json.loads(line)["data"]["run"] == last.name
    )
    statement = json.loads((last / "evidence.json").read_bytes())
    statement["predicate"]["runDetails"]["ledger"] = {"seq": opening[0], "sha256": sha256(opening[1])}
    evidence = json.dumps(statement, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    records.sign_evidence(last, evidence)

    def reseal(lines: list[dict[str, dict[str, str]]]) -> None:
        lines[-1]["data"]["evidence"] = sha256(evidence)
        lines[-1]["data"]["signature"] = sha256((last / "evidence.json.sig").read_bytes())

    records.sign_ledger(records.rewrite_ledger(reseal))
    assert records.found() == set()
    assert records.found(witnesses=[head]) == {"WITNESS_MISMATCH"}


def test_fork_needs_a_witness(records: Records, tmp_path: Path) -> None:
    """Row 21: two histories from one key both VERIFY; each is refuted by the head of the other."""
    fork = copy_of(records, tmp_path / "fork")
    for desk, name in ((records, "left"), (fork, "right")):
        with Ledger.locked(desk.runs, desk.key) as ledger:
            ledger.append("act", {"act": name}, datetime.now(UTC))
    assert records.found() == fork.found() == set()
    assert records.found(witnesses=[fork.head()]) == {"WITNESS_MISMATCH"}
    assert fork.found(witnesses=[records.head()]) == {"WITNESS_MISMATCH"}
    assert fork.found(witnesses=[fork.head()]) == set()


def test_back_dating_in_the_open_window_needs_a_receipt(records: Records) -> None:
    """Row 22: a line dated between the last one and now VERIFIES; only the witness's own receipt time tells."""
    last = json.loads(records.ledger.read_text().splitlines()[-1])["ts"]
    with Ledger.locked(records.runs, records.key) as ledger:
        ledger.append("act", {"act": "back-dated"}, datetime.fromisoformat(last) + timedelta(microseconds=1))
    head = records.head()
    assert records.found(witnesses=[head]) == set()
    an_hour_on = datetime.fromisoformat(last) + timedelta(hours=1)
    assert records.found(witnesses=[Witnessed(head.seq, head.sha256, an_hour_on)]) == {"TIME_SKEW"}


# ── Rows 23 to 25: crashes, roles, and keys that end ─────────────────────────────────────────────────────────────────
def test_torn_journal_of_a_crashed_run_is_found(records: Records, middle: Path) -> None:
    """Row 23: a run that was killed in the middle of a line was opened and never sealed, and says so."""
    records.sign_ledger(records.rewrite_ledger(lambda lines: lines.__delitem__(slice(3, 6))))
    for folder in sorted(records.runs.glob("2*"))[2:]:
        shutil.rmtree(folder)
    change_lines(middle / "journal.jsonl", lambda lines: lines.__setitem__(slice(3, None), [lines[3][:20]]))
    result = records.verify()
    assert codes(result) - {"WITNESS_ABSENT"} == {"INTERRUPTED"}
    assert any("opened but never sealed" in finding.what for finding in result.findings)


def test_engine_key_can_not_review(records: Records, middle: Path) -> None:
    """Row 24: the engine's key signs for people neither as a reviewer nor in a confirmation."""
    evidence = (middle / "evidence.json").read_bytes()
    for namespace in (signing.REVIEW, signing.CONFIRM):
        made = signing.sign(evidence, records.key, namespace)
        with pytest.raises(SignatureRefused) as caught:
            signing.check(evidence, made, Trust.of(records.runs), namespace)
        assert caught.value.code == "KEY_ROLE"


def limited(records: Records, **validity: str) -> None:
    """Let the engine's key be valid only within a time."""
    path = records.runs / "allowed_signers"
    words = "".join(f',{name.replace("_", "-")}="{value}"' for name, value in validity.items())
    path.write_text(path.read_text().replace('ledger@aurora"', f'ledger@aurora"{words}'))


def test_signature_after_the_key_expired_is_found(records: Records, middle: Path) -> None:
    """Row 25: what a key signed after its end does not count; what it signed before goes on counting."""
    limited(records, valid_before="20200101")
    assert records.found() == {"KEY_EXPIRED"}
    assert "KEY_EXPIRED" in {
        finding.code for finding in records.verify(middle.name).findings if finding.run != "ledger"
    }


def test_old_records_verify_when_the_key_has_expired_since(records: Records, middle: Path) -> None:
    """Row 25: records are verified at their own time, so that a key may end without taking its records along."""
    soon = datetime.now(UTC) + timedelta(minutes=5)
    limited(records, valid_before=f"{soon:%Y%m%d%H%M%SZ}")
    assert records.found() == set()
    assert records.found(middle.name) == set()


def test_revoked_key_is_found(records: Records, middle: Path) -> None:
    """Row 25: a key on the list of revoked keys (a KRL) signs nothing any more, whenever it did."""
    subprocess.run(
        ["ssh-keygen", "-q", "-k", "-f", records.runs / "revoked_keys", f"{records.key}.pub"],
        check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert records.found() == {"KEY_REVOKED"}
    assert records.found(middle.name) == {"KEY_REVOKED"}


def test_witness_of_today_verifies(records: Records) -> None:
    """A head that was announced is confirmed, and the ledger may have grown since."""
    first = Head(1, sha256(records.ledger.read_bytes().splitlines(keepends=True)[0]))
    assert codes(records.verify(witnesses=[first, records.head()])) == set()
    assert records.found(witnesses=[Head(99, "0" * 64)]) == {"WITNESS_MISMATCH"}


def test_journal_rewritten_and_chained_again_is_found(records: Records, middle: Path) -> None:
    """A journal that follows itself perfectly is still not the one that was sealed."""
    rechained(middle / "journal.jsonl", lambda lines: lines[-1]["data"].update(outcome="green", exit_code=0))
    assert records.found() == {"SUBJECT_DIGEST", "JOURNAL_HEAD"}


def test_added_and_missing_files_are_found(records: Records, middle: Path) -> None:
    """A file that came after the seal is no part of the record, and one that went is missed."""
    (middle / "artifacts").mkdir()
    (middle / "artifacts" / "fills.csv").write_text("made,up\n")
    assert records.found() == {"SUBJECT_UNKNOWN"}
    (middle / "inputs" / "runbooks" / "book.yaml").unlink()
    assert records.found() == {"SUBJECT_UNKNOWN", "SUBJECT_DIGEST"}


def test_unsealed_run_that_was_opened_as_another_is_found(records: Records) -> None:
    """The ledger's opening holds the journal's first line, so that can't be rewritten before the seal."""
    last = sorted(records.runs.glob("2*"))[-1]
    records.sign_ledger(records.rewrite_ledger(lambda lines: lines.pop()))
    rechained(last / "journal.jsonl", lambda lines: lines[0]["data"].update(dry_run=False, venue="account"))
    assert records.found() == {"RUN_UNSEALED", "JOURNAL_HEAD"}
