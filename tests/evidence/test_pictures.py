"""Figures in a report: those that a step left and the journal names, shown as images, and nothing that acts."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from aurora.evidence.files import render_reports
from aurora.evidence.pictures import LARGEST, MOST, linked, picture
from tests.evidence.journals import Book
from tests.evidence.test_report import Balance

SVG = (
    '<?xml version="1.0" encoding="utf-8"?>\n<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">'
    "<title>Slippage of 31 fills &amp; more</title>"
    '<defs><clipPath id="p"><rect width="9" height="9"/></clipPath></defs>'
    '<g clip-path="url(#p)"><use href="#p" style="fill: none"/></g></svg>\n'
)
NAME = "artifacts/figures/1/slippage.svg"


def run_with(folder: Path, *figures: tuple[str, str | bytes], written: bool = True, **wrong: Any) -> Path:
    """Write the journal of a run whose one step left these figures, and the files; `wrong` is laid over each entry."""
    book, artifacts = Book(), []
    for name, content in figures:
        raw = content.encode() if isinstance(content, str) else content
        artifacts.append({"name": name, "bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest(), **wrong})
        if written:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(raw)
    book.entry("figures", "The day in pictures")
    book.open()
    book.start("figures")
    book.finish("figures", outputs={}, artifacts=artifacts)
    folder.mkdir(exist_ok=True)
    lines = (json.dumps(event, separators=(",", ":")) + "\n" for event in book.events)
    (folder / "journal.jsonl").write_text("".join(lines))
    return folder


def test_a_figure_is_an_image_of_the_page(tmp_path: Path) -> None:
    """The page holds the file's own bytes as an image with its title as alternative text, and fetches nothing."""
    page = render_reports(run_with(tmp_path, (NAME, SVG)))["report.html"]
    (source,) = re.findall(
        r'<img src="data:image/svg\+xml;base64,([^"]*)" alt="Slippage of 31 fills &amp; more">', page
    )
    assert base64.b64decode(source) == SVG.encode()
    assert "img-src data:; base-uri 'none'" in page
    assert "from the figures that it names by their hash" in page
    Balance(page)


def test_markdown_links_the_file(tmp_path: Path) -> None:
    """The Markdown report shows the artifact beside it, by its path in the run's folder."""
    text = render_reports(run_with(tmp_path, (NAME, SVG)))["report.md"]
    assert f"![Slippage of 31 fills &amp; more]({NAME})" in text


def test_equal_files_give_equal_bytes(tmp_path: Path) -> None:
    """The report is a function of the journal and of the figures that it names by hash."""
    run_with(tmp_path, (NAME, SVG))
    assert render_reports(tmp_path) == render_reports(tmp_path)


def test_a_run_without_figures_allows_no_image(tmp_path: Path) -> None:
    """Where there is nothing to show the page's policy has no place for images."""
    page = render_reports(run_with(tmp_path))["report.html"]
    assert "img-src" not in page
    assert "<img" not in page


@pytest.mark.parametrize("how", ["changed", "gone", "folder", "link", "large"])
def test_a_file_that_is_not_as_it_was_left_is_not_shown(tmp_path: Path, how: str) -> None:
    """Only the bytes that the journal names are shown; what became of the others is said."""
    content = SVG.replace("<defs>", f"<!--{'x' * LARGEST}--><defs>") if how == "large" else SVG
    path = run_with(tmp_path, (NAME, content)) / NAME
    if how == "changed":
        path.write_text(SVG.replace("31", "32"))
    elif how != "large":
        path.unlink()
    if how == "folder":
        path.mkdir()
    elif how == "link":
        (tmp_path / "other.svg").write_text(SVG)
        path.symlink_to(tmp_path / "other.svg")
    reports = render_reports(tmp_path)
    assert "<img" not in reports["report.html"]
    for report in reports.values():
        assert "not shown: it is not there as it was left" in report


@pytest.mark.parametrize("name", ["../out.svg", "artifacts/../../out.svg", "/etc/out.svg", "inputs/out.svg", "out.svg"])
def test_only_the_runs_own_artifacts_are_read(tmp_path: Path, name: str) -> None:
    """A journal that names a file elsewhere gets nothing shown."""
    run = tmp_path / "run"
    run_with(run, (name, SVG), written=False)
    for place in (tmp_path / "out.svg", run / "out.svg"):
        place.write_text(SVG)
    assert "<img" not in render_reports(run)["report.html"]


@pytest.mark.parametrize(
    "evil",
    [
        "<script>alert(1)</script>",
        "<svg:script>alert(1)</svg:script>",
        "< SCRIPT >alert(1)</script>",
        '<g onload="alert(1)"/>',
        "<g/onclick=alert(1)>",
        '<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"/></foreignObject>',
        '<image href="https://example.invalid/x.png"/>',
        '<a href="javascript:alert(1)"/>',
        '<a xlink:href="https://example.invalid/"/>',
        "<use href='data:image/svg+xml,x'/>",
        "<style>@import 'https://example.invalid/x.css'</style>",
        '<g style="fill: url(https://example.invalid/#x)"/>',
        '<animate attributeName="href" to="javascript:alert(1)"/>',
        '<!DOCTYPE svg [<!ENTITY a "b">]>',
        "<!ENTITY a 'b'>",
        '<iframe src="https://example.invalid/"/>',
    ],
)
def test_what_acts_is_not_shown(tmp_path: Path, evil: str) -> None:
    """An SVG is untrusted: with a script, a handler, another document or an entity in it, it is named and not shown."""
    page = render_reports(run_with(tmp_path, (NAME, SVG.replace("<defs>", f"{evil}<defs>"))))["report.html"]
    assert "<img" not in page
    assert "not shown: a figure that only shows has no" in page
    assert evil not in page
    Balance(page)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"%PDF-1.7", b"<html></html>", b"x" + SVG.encode(), SVG[:200].encode()]
)
def test_what_is_no_whole_svg_is_not_shown(tmp_path: Path, content: bytes) -> None:
    """A file is shown for what it is, not for its name."""
    page = render_reports(run_with(tmp_path, (NAME, content)))["report.html"]
    assert "<img" not in page
    assert "not shown: it is no" in page


def test_a_hostile_title_is_text(tmp_path: Path) -> None:
    """A title with markup, quotes and hidden characters is alternative text and nothing else, in both reports."""
    title = "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;\u202e](https://x.invalid) `|"
    reports = render_reports(run_with(tmp_path, (NAME, SVG.replace("Slippage of 31 fills &amp; more", title))))
    assert "<img" in reports["report.html"]
    for report in reports.values():
        assert "<script" not in report
        assert "\u202e" not in report
    assert not re.search(r"(?<!\\)\]\(https", reports["report.md"])
    found = Balance(reports["report.html"])
    assert [value for name, value in found.attributes if name.startswith("on")] == []


def test_quarantined_artifacts_are_no_figures(tmp_path: Path) -> None:
    """An SVG that held a secret was taken out of the record: it has no digest, and no place in the report."""
    run_with(tmp_path, (NAME, SVG), sha256=None, quarantined="runs/.quarantine/x.svg")
    page = render_reports(tmp_path)["report.html"]
    assert "<img" not in page
    assert "held a secret" in page


def test_so_many_figures_and_no_more(tmp_path: Path) -> None:
    """A run that leaves hundreds has the first ones shown; the page stays one that a browser opens."""
    many = [(f"artifacts/figures/1/{number:03}.svg", SVG.replace("31", str(number))) for number in range(MOST + 5)]
    page = render_reports(run_with(tmp_path, *many))["report.html"]
    assert page.count("<img") == MOST
    assert page.count("not shown:") == 5


@pytest.mark.parametrize(
    ("name", "link"),
    [
        (NAME, NAME),
        ("artifacts/a[0]/1/x-y_z.svg", "artifacts/a[0]/1/x-y_z.svg"),
        ("artifacts/a) b.svg", ""),
        ("artifacts/../x.svg", ""),
        ("javascript:1.svg", ""),
        ("artifacts/é.svg", ""),
    ],
)
def test_only_plain_names_are_links(name: str, link: str) -> None:
    """A name that would need escapes is listed as an artifact and is no link."""
    assert linked(name) == link


def test_other_artifacts_are_no_pictures() -> None:
    """A file that is no SVG by name has no picture, and no word about it."""
    assert picture("artifacts/a/1/session.jsonl", "00", {}) == ("", "", "")
