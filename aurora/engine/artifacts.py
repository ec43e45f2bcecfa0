"""What a step leaves in its artifacts folder, with digests; what holds a secret is taken away (engine rule 24)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from aurora.engine.secrets import Masker

CHUNK = 1 << 20
QUARANTINE = ".quarantine"


def collect(folder: Path, run: Path, masker: Masker) -> list[dict[str, Any]]:
    """Return the plain files in `folder`, an attempt's own, inside the folder of its `run`.

    A file that holds a secret is moved to `runs/.quarantine/`, which nobody else can read; its entry says so, and has
    no digest. Packed files (zip, gzip) are not looked into.
    """
    found = []
    for path in sorted(folder.rglob("*")) if folder.exists() else ():
        if path.is_symlink() or not path.is_file():
            continue
        name = str(path.relative_to(run))
        try:
            size = path.stat().st_size
            if holds_secret(path, masker):
                found.append({"name": name, "bytes": size, "sha256": None, "quarantined": _quarantine(path, run)})
                continue
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                size = os.fstat(file.fileno()).st_size
        except OSError:
            continue  # what the step left running has taken it away
        found.append({"name": name, "bytes": size, "sha256": digest})
    return found


def holds_secret(path: Path, masker: Masker) -> bool:
    """Return whether a secret, in any form that a Masker knows, stands in a file. Raises OSError."""
    if not masker.longest:
        return False
    with path.open("rb") as file:
        return any(masker.holds(text) for piece in _pieces(file, 4 * masker.longest) for text in _readings(piece))


def _pieces(file: BinaryIO, overlap: int) -> Iterator[bytes]:
    """Yield a file in pieces; each begins with the end of the one before, so that no secret is cut in two."""
    before = b""
    while more := file.read(CHUNK):
        yield before + more
        before = (before + more)[-overlap:]


def _readings(raw: bytes) -> Iterator[str]:
    yield raw.decode("utf-8", "replace")
    if b"\0" in raw:
        yield raw.replace(b"\0", b"").decode("utf-8", "replace")  # UTF-16 and UTF-32 of plain characters


def _quarantine(path: Path, run: Path) -> str:
    """Move a file out of the run's folder, and return where it is now."""
    target = run.parent / QUARANTINE / run.name / path.relative_to(run)
    (run.parent / QUARANTINE).mkdir(mode=0o700, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)
    return str(target.relative_to(run.parent.parent))
