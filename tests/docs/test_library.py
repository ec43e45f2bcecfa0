from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import aurora.library
from aurora.testing.plugin import steps_given_back
from tests.docs.blocks import ROOT, blocks

PAGE = "library.md"


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples of the page run one after the other in a copy of the other desk, and what they assert holds."""
    desk = tmp_path / "desk"
    shutil.copytree(ROOT / "examples/other-desk", desk, ignore=shutil.ignore_patterns("runs", "__pycache__"))
    monkeypatch.chdir(desk)
    monkeypatch.delenv("CI", raising=False)
    found = blocks(PAGE)
    assert len(found) == 4
    names: dict[str, Any] = {"__name__": "page"}
    with steps_given_back():
        for block in found:
            exec(block.code, names)


def test_what_is_promised_is_named() -> None:
    """The ports, and what runs and reads runs, stand on the page."""
    text = (ROOT / "docs" / PAGE).read_text()
    for name in ("Workers", "Attempt", "Person", "Listener", "Desk", "run", "resume", "lint", "find_project"):
        assert name in aurora.library.__all__
        assert name in text
