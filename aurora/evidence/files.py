"""Writes a run's reports beside its journal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aurora.errors import RecordError
from aurora.journal import read_journal


def write_reports(folder: Path) -> None:
    """Render report.md and report.html of the run in `folder` from its journal; each is replaced whole."""
    from aurora.evidence.report import build_report, render_html, render_markdown  # noqa: PLC0415 - loads Jinja2's templates

    text = read_journal(folder / "journal.jsonl")
    if not text.events:
        raise RecordError(f"The run {folder.name} has no events to report.")
    events: list[Mapping[str, Any]] = [
        {"seq": event.seq, "ts": event.ts, "type": event.type, "data": event.data} for event in text.events
    ]
    report = build_report(events)
    for name, content in (("report.md", render_markdown(report)), ("report.html", render_html(report))):
        draft = folder / f".{name}.draft"
        draft.write_text(content, "utf-8")
        draft.replace(folder / name)
