"""Archives sealed runs: the whole folder in one file beside the ledger, and a line of the ledger that names its digest.

    pack RUN.tar.gz → read it back against the evidence → ledger `act: archived` → folder out of the way → folder gone

Cut anywhere, either the folder or an archive that the ledger names is whole. `tar -xzf RUN.tar.gz` in the folder of the
records brings the run back as it was sealed, so an auditor's commands work on it.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import shutil
import stat
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from aurora.errors import RecordError
from aurora.evidence import statement
from aurora.evidence.ledger import Ledger
from aurora.journal import Event, sync_folder

SUFFIX = ".tar.gz"
REMOVED = ".removed"
"""Folders on their way out; whatever lies here is in an archive that the ledger names."""


def archive_of(runs: Path, run: str) -> Path:
    """Return where the archive of a run is."""
    return runs / f"{run}{SUFFIX}"


def archive_run(folder: Path, key: Path, now: datetime) -> int:
    """Put a sealed run into its archive, and its folder away; return the archive's size in bytes.

    One that was cut short is taken up where it was. Nobody else may be at work on the run: hold its lock.
    Raises RecordError and its kin, with the folder as it was, when the archive would not hold what was sealed.
    """
    runs, run = folder.parent, folder.name
    path = archive_of(runs, run)
    try:
        with Ledger.locked(runs, key) as ledger:
            sealed, line = ledger.text.sealed.get(run), ledger.text.archived.get(run)
            if sealed is None:
                raise RecordError(f"The run {run} is not sealed.", means="only what is sealed is archived")
            # Packed anew even where there is an archive: a folder that was brought back may hold a review since.
            size, digest = _pack(folder, path, sealed)
            if line is None or digest != line.data.get("sha256"):
                data = {"act": "archived", "run": run, "file": path.name, "sha256": digest, "bytes": size}
                ledger.append("act", data, now)
        (runs / REMOVED).mkdir(exist_ok=True)
        folder.rename(runs / REMOVED / run)
        sync_folder(runs)
        sweep(runs)
        return path.stat().st_size
    except OSError as error:
        raise RecordError(
            f"The run {run} can't be archived: {error.strerror or error}.",
            means="its record is whole, in its folder or in its archive",
            todo="make room, or make the folder runs/ writable; the next housekeeping goes on with it",
        ) from error


def sweep(runs: Path) -> None:
    """Remove what was put away. Raises OSError."""
    if (runs / REMOVED).is_dir():
        shutil.rmtree(runs / REMOVED)


@contextlib.contextmanager
def unpacked(path: Path, run: str) -> Iterator[Path]:
    """Yield the folder of a run, unpacked for as long as the block takes. Raises RecordError for what is no archive."""
    with contextlib.ExitStack() as stack:
        try:
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="aurora-"))
            with tarfile.open(path, "r:gz") as tar:
                tar.extractall(place, filter="data")
        except (tarfile.TarError, EOFError, ValueError, OSError, zlib.error) as error:
            raise RecordError(f"{path.name} can't be unpacked: {error}.") from error
        yield Path(place) / run


@contextlib.contextmanager
def sealed_folder(runs: Path, run: str) -> Iterator[Path]:
    """Yield the folder of a sealed run, out of its archive where housekeeping has put it away; verify first.

    Raises RecordError for an archive that can't be read.
    """
    path = archive_of(runs, run)
    if (runs / run).is_dir() or not path.is_file():
        yield runs / run
        return
    with unpacked(path, run) as folder:
        yield folder


def _pack(folder: Path, path: Path, sealed: Event) -> tuple[int, str]:
    """Write the archive of a folder and read it back; return its size and SHA-256."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as raw:
        # No time and no owner goes in: packed twice, a run gives the same bytes.
        with gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
            for file in _regular_files(folder):
                _add(tar, file, f"{folder.name}/{file.relative_to(folder).as_posix()}")
        raw.flush()
        os.fsync(raw.fileno())
    _see_that_it_holds(draft, folder.name, sealed)
    draft.replace(path)
    sync_folder(path.parent)
    return path.stat().st_size, statement.digest_of(path)["sha256"]


def _regular_files(folder: Path) -> list[Path]:
    found = []
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            found.append(path)
        elif not stat.S_ISDIR(mode):
            raise RecordError(f"The run {folder.name} holds {path.name}, which is no file.", means="it is not archived")
    return found


def _add(tar: tarfile.TarFile, file: Path, name: str) -> None:
    with file.open("rb") as content:
        entry = tarfile.TarInfo(name)
        entry.size = os.fstat(content.fileno()).st_size
        entry.mode = 0o644
        tar.addfile(entry, content)


def _see_that_it_holds(draft: Path, run: str, sealed: Event) -> None:
    """Compare what can be read back with what was sealed."""
    with unpacked(draft, run) as folder:
        evidence, signature = folder / statement.FILE, folder / statement.SIGNATURE
        wrong = [
            name
            for name, file in (("evidence", evidence), ("signature", signature))
            if not _is(file, str(sealed.data.get(name)))
        ]
        try:
            subjects = {} if wrong else statement.subjects_of(evidence.read_bytes())
        except ValueError:
            subjects, wrong = {}, ["evidence"]
        wrong += [name for name, digest in subjects.items() if not _is(folder.parent / name, digest)]
    if wrong:
        draft.unlink()
        raise RecordError(
            f"The run {run} is not as it was sealed: {wrong[0]}.",
            means="it is not archived; its folder stays as it is",
            todo=f"look: invoke verify {run}",
        )


def _is(path: Path, digest: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    except OSError:
        return False
