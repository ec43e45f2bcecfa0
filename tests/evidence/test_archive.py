"""Archived runs: whole in one file, named by the ledger, and verified as if their folder were there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import textwrap
from pathlib import Path

import pytest

from aurora.clock import SystemClock
from aurora.errors import RecordError, SigningFailed
from aurora.evidence import archive
from aurora.evidence.archive import REMOVED, archive_of, archive_run, sweep, unpacked
from aurora.evidence.audit import stock_commands
from aurora.evidence.ledger import read_ledger_text
from tests.engine.kit import ROOT
from tests.evidence.sealed import Records


@pytest.fixture
def records(tmp_path: Path) -> Records:
    """Return a project with two sealed runs."""
    made = Records(tmp_path)
    made.run()
    made.run(day="tuesday")
    return made


def first(records: Records) -> Path:
    """Return the folder of the older run."""
    return min(path for path in records.runs.iterdir() if path.name.startswith("2") and path.is_dir())


def put_away(records: Records) -> Path:
    """Archive the older run and return where its folder was."""
    folder = first(records)
    archive_run(folder, records.key, SystemClock().now())
    return folder


def test_an_archived_run_verifies(records: Records) -> None:
    """A run whose folder went into its archive is as whole as one whose folder is there, named or not."""
    folder = put_away(records)
    assert not folder.exists()
    assert not (records.runs / REMOVED).exists()
    assert records.found() == set()
    assert records.found(folder.name) == set()
    assert folder.name in records.verify().whole
    act = read_ledger_text(records.runs).archived[folder.name].data
    assert act["file"] == f"{folder.name}.tar.gz"
    assert act["bytes"] == archive_of(records.runs, folder.name).stat().st_size


def test_a_lost_archive_is_found(records: Records) -> None:
    """An archive that is not there is a finding of its own, with the file to put back."""
    folder = put_away(records)
    archive_of(records.runs, folder.name).unlink()
    assert records.found() == {"ARCHIVE_MISSING"}
    assert records.found(folder.name) == {"ARCHIVE_MISSING"}


def test_a_changed_archive_is_found(records: Records) -> None:
    """One byte changed in an archive is found without unpacking it."""
    folder = put_away(records)
    path = archive_of(records.runs, folder.name)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw))
    assert records.found() == {"ARCHIVE_DIGEST"}


def test_an_archive_of_another_run_is_found(records: Records) -> None:
    """Who swaps two archives is found, though each is whole."""
    one = put_away(records)
    other = put_away(records)
    paths = [archive_of(records.runs, folder.name) for folder in (one, other)]
    raw = [path.read_bytes() for path in paths]
    paths[0].write_bytes(raw[1])
    paths[1].write_bytes(raw[0])
    assert records.found() == {"ARCHIVE_DIGEST"}


def test_a_folder_without_its_archive_line_is_missing_evidence(records: Records) -> None:
    """An archive that no line of the ledger names proves nothing: the run's evidence is missing, as before."""
    folder = first(records)
    with tarfile.open(archive_of(records.runs, folder.name), "w:gz") as tar:
        tar.add(folder, folder.name)
    subprocess.run(["rm", "-r", str(folder)], check=True)
    assert records.found() == {"EVIDENCE_MISSING"}


def test_unpacked_it_is_the_run_again(records: Records) -> None:
    """`tar -xzf` brings the folder back: it verifies, and the auditor's stock commands hold on it."""
    folder = put_away(records)
    subprocess.run(["tar", "-xzf", archive_of(records.runs, folder.name).name], cwd=records.runs, check=True)
    assert records.found(folder.name) == set()
    (command, *_) = stock_commands(folder.name)
    assert subprocess.run(command, shell=True, cwd=records.runs, capture_output=True, check=False).returncode == 0


def test_a_run_that_is_not_as_sealed_stays(records: Records) -> None:
    """What was changed after its seal is not archived: its folder stays, and nothing of it is on the ledger."""
    folder = first(records)
    (folder / "report.md").write_text("all was well")
    with pytest.raises(RecordError, match=r"report\.md"):
        put_away(records)
    assert folder.exists()
    assert folder.name not in read_ledger_text(records.runs).archived
    assert records.found() == {"SUBJECT_DIGEST"}


def test_a_link_in_a_run_keeps_it(records: Records) -> None:
    """A folder with something that is no file is left as it is: an archive would hold something else."""
    folder = first(records)
    (folder / "more").symlink_to("/etc/passwd")
    with pytest.raises(RecordError, match="more"):
        put_away(records)
    assert (folder / "evidence.json").exists()


def test_an_unsealed_run_stays(records: Records) -> None:
    """Only what is sealed is archived."""
    folder = records.runs / "2026-01-01T000000.000Z-book"
    folder.mkdir()
    with pytest.raises(RecordError, match="not sealed"):
        archive_run(folder, records.key, SystemClock().now())


KILLED = """
import os, signal, sys
from pathlib import Path
from aurora.clock import SystemClock
from aurora.evidence import archive, ledger

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

where = sys.argv[2]
if where == "pack":
    archive._see_that_it_holds = die
elif where == "line":
    ledger.Ledger.append = die
elif where == "half a line":
    ledger._append = die
elif where == "rename":
    archive.sync_folder = lambda path, before=archive.sync_folder: die() if not folder.exists() else before(path)
elif where == "sweep":
    archive.sweep = lambda runs: (next((runs / archive.REMOVED).rglob("evidence.json")).unlink(), die())
folder = Path(sys.argv[1])
archive.archive_run(folder, Path(sys.argv[3]), SystemClock().now())
"""


@pytest.mark.parametrize("where", ["pack", "line", "half a line", "rename", "sweep"])
def test_killed_anywhere_the_next_goes_on(records: Records, where: str) -> None:
    """Kill -9 at any point: `verify` finds nothing wrong, and the next housekeeping ends the work."""
    folder = first(records)
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(folder), where, str(records.key)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert records.found() == set()
    sweep(records.runs)
    if folder.exists():
        archive_run(folder, records.key, SystemClock().now())
    assert records.found() == set()
    assert not folder.exists()
    lines = [event for event in read_ledger_text(records.runs).events if event.data.get("act") == "archived"]
    assert len(lines) == 1


def brought_back(records: Records, folder: Path) -> None:
    """Unpack an archived run beside its archive, as the manual says."""
    subprocess.run(["tar", "-xzf", archive_of(records.runs, folder.name).name], cwd=records.runs, check=True)


def test_an_archive_from_before_a_waiver_holds_no_later_seal(records: Records) -> None:
    """A run that was brought back, waived and sealed again is not whole in its old archive, and is archived anew."""
    red = records.run(good=False)
    archive_run(red, records.key, SystemClock().now())
    brought_back(records, red)
    records.resume(waive=["decide"], reason="known")
    evidence = (red / "evidence.json").read_bytes()
    kept = red.rename(records.runs.parent / red.name)
    assert records.found() == {"EVIDENCE_MISSING"}
    kept.rename(red)
    archive_run(red, records.key, SystemClock().now())
    assert records.found() == set()
    with unpacked(archive_of(records.runs, red.name), red.name) as there:
        assert (there / "evidence.json").read_bytes() == evidence


def test_what_came_into_a_run_that_was_brought_back_is_archived_too(records: Records) -> None:
    """A review that was made after the first archive is not thrown away with the folder."""
    folder = put_away(records)
    brought_back(records, folder)
    (folder / "review.alice@desk.sig").write_text("hers")
    archive_run(folder, records.key, SystemClock().now())
    with unpacked(archive_of(records.runs, folder.name), folder.name) as there:
        assert (there / "review.alice@desk.sig").read_text() == "hers"
    assert records.found() == set()


def test_an_archive_that_the_ledger_does_not_know_is_found(records: Records) -> None:
    """Row 16, for archives: one that is put beside the ledger is nobody's run."""
    folder = put_away(records)
    made = archive_of(records.runs, "2026-01-05T090000.000Z-book")
    made.write_bytes(archive_of(records.runs, folder.name).read_bytes())
    assert records.found() == {"RUN_UNKNOWN"}


def test_an_archive_that_is_no_file_is_missing(records: Records) -> None:
    """A pipe in an archive's place is said at once: nobody waits for what it may give."""
    folder = put_away(records)
    archive_of(records.runs, folder.name).unlink()
    os.mkfifo(archive_of(records.runs, folder.name))
    assert records.found() == {"ARCHIVE_MISSING"}


def test_an_archive_that_can_not_be_unpacked_here_is_no_tampering(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no room to unpack, verify says that it could not look, and never that all is well."""
    folder = put_away(records)
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
        with pytest.raises(RecordError, match="can't be unpacked"), unpacked(tmp_path / "x", folder.name):
            pass
        with pytest.raises(SigningFailed, match="signature can't be looked at"):
            records.verify()
    monkeypatch.setattr(archive, "unpacked", _no_room)
    assert records.found(folder.name) == {"CANT_CHECK"}


def _no_room(path: Path, _run: str) -> None:
    raise RecordError(f"{path.name} can't be unpacked: No space left on device.")
