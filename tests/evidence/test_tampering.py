"""Whatever is changed in a file of a sealed run, or in the ledger, verify finds it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aurora.clock import SystemClock
from aurora.evidence.archive import archive_of, archive_run
from tests.engine.kit import bound_steps
from tests.evidence.people import LiveRecords, Says
from tests.evidence.sealed import Records, codes


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Records]:
    """A desk with two sealed runs."""
    with bound_steps():
        records = Records(tmp_path_factory.mktemp("tampered") / "project")
        records.run()
        records.run(good=False)
        assert not records.found()
        yield records


@st.composite
def tampering(draw: st.DrawFn, raw: bytes) -> bytes:
    """Return the bytes with one flipped, a line gone, two lines swapped, cut off somewhere, or with some more."""
    lines = raw.splitlines(keepends=True)
    kind = draw(st.sampled_from(["flip", "delete", "swap", "truncate", "append"]))
    if kind == "flip":
        index = draw(st.integers(0, len(raw) - 1))
        return raw[:index] + bytes([raw[index] ^ draw(st.integers(1, 255))]) + raw[index + 1 :]
    if kind == "delete":
        del lines[draw(st.integers(0, len(lines) - 1))]
    elif kind == "swap":
        one, other = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
        lines[one], lines[other] = lines[other], lines[one]
    elif kind == "truncate":
        return raw[: draw(st.integers(0, len(raw) - 1))]
    else:
        return raw + draw(st.binary(min_size=1, max_size=40))
    return b"".join(lines)


def sealed_files(records: Records) -> list[Path]:
    """Return the files of every sealed run, and the ledger."""
    return [*(path for path in sorted(records.runs.glob("2*/**/*")) if path.is_file()), records.ledger]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_of_any_file_is_found(records: Records, data: st.DataObject) -> None:
    """Each single-byte flip, deletion, swap, truncation and addition, in every file, is found by `verify` of all."""
    path = data.draw(st.sampled_from(sealed_files(records)), label="file")
    raw = path.read_bytes()
    changed = data.draw(tampering(raw), label="tampering")
    try:
        path.write_bytes(changed)
        assert bool(records.found()) == (changed != raw)
    finally:
        path.write_bytes(raw)


def test_each_line_of_journal_and_ledger_matters(records: Records) -> None:
    """Every line that is deleted, swapped with the next, or cut after, in every journal and the ledger, is found."""
    for path in [*records.runs.glob("2*/journal.jsonl"), records.ledger]:
        raw = path.read_bytes()
        lines = raw.splitlines(keepends=True)
        try:
            for number in range(len(lines)):
                before, line, after = lines[:number], lines[number], lines[number + 1 :]
                for changed in (before + after, before, before + after[:1] + [line] + after[1:]):
                    path.write_bytes(b"".join(changed))
                    assert bool(records.found()) == (changed != lines), (path.name, number)
        finally:
            path.write_bytes(raw)


def test_a_time_that_is_none_is_a_finding_like_any_other(records: Records) -> None:
    """A ledger whose seal has no time that can be read is told as changed, and breaks nothing."""
    raw = records.ledger.read_bytes()
    try:
        for line in range(4):
            lines = raw.splitlines(keepends=True)
            lines[line] = lines[line].replace(b'"ts":"2', b'"ts":"x')
            records.ledger.write_bytes(b"".join(lines))
            assert "LEDGER_SIGNATURE" in records.found()
    finally:
        records.ledger.write_bytes(raw)


@pytest.mark.parametrize("name", ["evidence.json", "evidence.json.sig", "journal.jsonl", "report.md"])
def test_what_is_no_file_is_none(records: Records, name: str) -> None:
    """A pipe in a file's place is found at once: verify waits for nobody to write into it."""
    path = min(records.runs.glob(f"2*/{name}"))
    raw = path.read_bytes()
    path.unlink()
    try:
        os.mkfifo(path)
        assert records.found() & {"EVIDENCE_MISSING", "SUBJECT_DIGEST"}
        assert records.found(path.parent.name) & {"EVIDENCE_MISSING", "SUBJECT_DIGEST"}
    finally:
        path.unlink()
        path.write_bytes(raw)


def test_link_in_a_sealed_folder_is_said(records: Records) -> None:
    """A link or a pipe beside the record is no part of it: said, by its name made harmless, and the run still holds."""
    folder = min(records.runs.glob("2*/journal.jsonl")).parent
    link, pipe = folder / "artifacts\n.txt", folder / "pipe"
    try:
        link.symlink_to("/etc/passwd")
        os.mkfifo(pipe)
        result = records.verify(folder.name)
        said = [each.what.split(" is a link")[0] for each in result.findings if each.code == "NO_FILE"]
        assert said == ["artifacts\\n.txt", "pipe"]
        assert result.is_good
        assert result.whole == [folder.name]
    finally:
        link.unlink()
        pipe.unlink()


def test_earlier_ledger_is_found_with_a_witness_alone(tmp_path: Path) -> None:
    """Each earlier ledger, whole and signed as it was, verifies by itself, and is no match for a later head."""
    with bound_steps():
        desk = Records(tmp_path / "project")
        states, signature = [], desk.ledger.with_name("ledger.jsonl.sig")
        for good in (True, False, True):
            desk.run(good=good)
            states.append((desk.ledger.read_bytes(), signature.read_bytes(), desk.head(), set(desk.runs.iterdir())))
        assert not desk.found(witnesses=[head for *_, head, _ in states])
        for number in reversed(range(2)):
            raw, signed, head, there = states[number]
            for later in set(desk.runs.iterdir()) - there:
                shutil.rmtree(later)
            desk.ledger.write_bytes(raw)
            signature.write_bytes(signed)
            assert not desk.found()
            assert not desk.found(witnesses=[head])
            for *_, later_head, _ in states[number + 1 :]:
                assert desk.found(witnesses=[later_head]) == {"WITNESS_MISMATCH"}


def test_evidence_that_is_nested_too_deep_is_found(records: Records) -> None:
    """Evidence that no reader reads is a finding, and keeps no other run from being verified."""
    path = min(records.runs.glob("2*/evidence.json"))
    raw = path.read_bytes()
    try:
        path.write_bytes(b"[" * 100_000)
        assert records.found() == {"SIGNATURE", "EVIDENCE_NOT_SEALED"}
    finally:
        path.write_bytes(raw)


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRecords]:
    """A live desk with a run that alice confirmed and reviewed, one that was waived and sealed twice, one archived."""
    with bound_steps():
        records = LiveRecords(tmp_path_factory.mktemp("newer") / "project")
        records.lab.book("""
            params:
              profile: {type: string, default: real}
            steps:
              - {id: look, gate: 1 == 2}
        """, "waived")  # fmt: skip
        archived = records.confirm(records.live_desk(Says(yes=False))).folder
        archive_run(archived, records.key, SystemClock().now())
        records.confirm(book="waived")
        records.go_on(waive=["look"], reason="it is known")
        records.confirm()
        done = records.lab.command("review", "last", env={"AURORA_PERSON_KEY": str(records.alice)})
        assert done.returncode == 0, done.stderr
        assert records.found() == {"REVIEWED"}
        assert archive_of(records.runs, archived.name).is_file()
        yield records


def _blob(raw: bytes) -> bytes:
    body = raw.partition(b"-----BEGIN SSH SIGNATURE-----")[2].partition(b"-----END SSH SIGNATURE-----")[0]
    return b"".join(body.split())


def newer_files(records: Records) -> list[Path]:
    """Return the files of runs, the archives, the ledger and its signature."""
    runs = [path for path in sorted(records.runs.glob("2*/**/*")) if path.is_file() and "inbox" not in path.parts]
    return [*runs, *sorted(records.runs.glob("*.tar.gz")), records.ledger, records.runs / "ledger.jsonl.sig"]


def is_found(records: Records) -> bool:
    """Return whether verify of all finds something, or says no more that the run was reviewed."""
    result = records.verify()
    return not result.is_good or "REVIEWED" not in codes(result)


def change_newer(records: Records, data: st.DataObject, paths: list[Path]) -> None:
    """Change one of the files, and see that it is found."""
    path = data.draw(st.sampled_from(paths), label="file")
    raw = path.read_bytes()
    changed = data.draw(tampering(raw), label="tampering")
    try:
        path.write_bytes(changed)
        if not is_found(records):
            # White space in an armor, and text after it, say nothing; the seal's own signature is held by its hash.
            is_armor = path.name.startswith("review.") or path.name == "ledger.jsonl.sig"
            assert changed == raw or (is_armor and _blob(changed) == _blob(raw))
        else:
            assert changed != raw
    finally:
        path.write_bytes(raw)


WITH_ALL = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(WITH_ALL, max_examples=60)
@given(data=st.data())
def test_any_change_of_a_review_an_archive_or_a_signature_is_found(newer: LiveRecords, data: st.DataObject) -> None:
    """Reviews, archives, the ledger's signature, and the seal that a waiver set aside: each change of each is found."""
    kinds = ("review.", "ledger.jsonl.sig")
    paths = [path for path in newer_files(newer) if path.name.startswith(kinds) or path.suffix == ".gz"]
    change_newer(newer, data, [*paths, *newer.runs.glob("2*/sealed-*/*")])


@pytest.mark.nightly
@settings(WITH_ALL, max_examples=1_500)
@given(data=st.data())
def test_any_change_of_any_file_of_a_live_desk_is_found(newer: LiveRecords, data: st.DataObject) -> None:
    """The same for every file there, confirmations in the journals among them."""
    change_newer(newer, data, newer_files(newer))


def test_each_file_of_a_live_desk_is_missed(newer: LiveRecords) -> None:
    """Every file there that is taken away is missed."""
    for path in newer_files(newer):
        raw = path.read_bytes()
        path.unlink()
        try:
            assert is_found(newer), path.name
        finally:
            path.write_bytes(raw)
