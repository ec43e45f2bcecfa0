"""Writes a run's reports beside its journal."""

from __future__ import annotations

from pathlib import Path

from aurora.errors import RecordError
from aurora.journal import read_journal


def render_reports(folder: Path) -> dict[str, str]:
    """Return report.md and report.html of the run in `folder`: what its journal, with the figures it names, comes to.

    Raises RecordError.
    """
    from aurora.evidence.pictures import read_figures  # noqa: PLC0415 - as for the templates
    from aurora.evidence.report import build_report, render_html, render_markdown  # noqa: PLC0415 - loads Jinja2's templates

    text = read_journal(folder / "journal.jsonl")
    if not text.events:
        raise RecordError(f"The run {folder.name} has no events to report.")
    report = build_report(text.events, read_figures(folder, text.events))
    return {"report.md": render_markdown(report), "report.html": render_html(report)}


def write_reports(folder: Path) -> None:
    """Render report.md and report.html of the run in `folder` from its journal; each is replaced whole."""
    for name, content in render_reports(folder).items():
        draft = folder / f".{name}.draft"
        draft.write_text(content, "utf-8")
        draft.replace(folder / name)
