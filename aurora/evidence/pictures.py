"""Figures that a run's steps left as SVG files: read by the digest on record, and shown only when they can do no harm.

    journal's artifacts → read_figures (bytes by digest) → picture (a data address and a title, or why it is not shown)

A page shows them as images, where no script runs and nothing is fetched; what would act elsewhere is refused even so.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from aurora.evidence.fold import listed, mapping
from aurora.evidence.harmless import line
from aurora.journal import Event

SUFFIX = ".svg"
LARGEST = 1 << 20
MOST = 40
"""So many figures of a run are shown, of so many bytes each; the others are among the artifacts."""

_ACTS = re.compile(
    r"<!(?:DOCTYPE|ENTITY)|<\s*(?:[\w-]+:)?(?:script|foreignObject|iframe|embed|object|image|audio|video|animate|set)\b"
    r"|[\s\"'/]on\w+\s*=|href\s*=\s*[\"']?\s*(?![\"'#\s])|url\(\s*[\"']?(?!#)|@import|<\?xml-stylesheet|&#?\w+;?script:"
    r"|(?:java|vb)script\s*:",
    re.IGNORECASE,
)
_TITLE = re.compile(r"<svg\b[^>]*>\s*<title>([^<]{1,1000})</title>")


def read_figures(folder: Path, events: Sequence[Event]) -> dict[str, bytes]:
    """Return the SVG files that the steps of the run in `folder` left, by SHA-256; only what is as the journal says."""
    found: dict[str, bytes] = {}
    for name, digest in _named(events):
        if len(found) == MOST:
            break
        raw = _read(folder, name)
        if raw is not None and hashlib.sha256(raw).hexdigest() == digest:
            found[digest] = raw
    return found


def picture(name: str, digest: object, figures: Mapping[str, bytes]) -> tuple[str, str, str]:
    """Return the data address of a figure, its title, and, where it is not shown, why; "" for what there is none of."""
    if not name.lower().endswith(SUFFIX) or not isinstance(digest, str):
        return "", "", ""
    raw = figures.get(digest)
    if raw is None:
        return "", "", f"not shown: it is not there as it was left, is over {LARGEST >> 20} MiB, or one of over {MOST}"
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return "", "", "not shown: it is no UTF-8 text"
    if not re.match(r"\s*(?:<\?xml[^>]*\?>\s*)?<svg[\s>]", text) or not text.rstrip().endswith("</svg>"):
        return "", "", "not shown: it is no SVG from its beginning to its end"
    acting = _ACTS.search(text)
    if acting:
        return "", "", f"not shown: a figure that only shows has no {line(acting[0].strip(), 40)}"
    title = _TITLE.search(text)
    return (
        f"data:image/svg+xml;base64,{base64.b64encode(raw).decode()}",
        line(html.unescape(title[1]), 400) if title else "",
        "",
    )


def _named(events: Sequence[Event]) -> Iterator[tuple[str, str]]:
    for event in events:
        if event.type == "step.finished":
            for each in map(mapping, listed(event.data.get("artifacts"))):
                name, digest = each.get("name"), each.get("sha256")
                if isinstance(name, str) and isinstance(digest, str) and name.lower().endswith(SUFFIX):
                    yield name, digest


def _read(folder: Path, name: str) -> bytes | None:
    parts = PurePosixPath(name).parts
    if not parts or parts[0] != "artifacts" or ".." in parts:
        return None
    path = folder.joinpath(*parts)
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
            return None
        return path.read_bytes()
    except (OSError, ValueError):
        return None


def linked(name: str) -> str:
    """Return an artifact's name as a link target of Markdown; "" for one that would need escapes."""
    return name if re.fullmatch(r"artifacts/[\w./\[\]-]+", name, re.ASCII) and ".." not in name else ""
