"""An auditor with ssh-keygen, jq and sha256sum, and nothing of Aurora's, checks what a report's footer says."""

from __future__ import annotations

import html
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.kit import bound_steps
from tests.evidence.sealed import Records, copy_of, path_of

TOOLS = ("bash", "ssh-keygen", "jq", "sha256sum", "tail")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Records]:
    """A desk with one sealed run."""
    with bound_steps():
        records = Records(tmp_path_factory.mktemp("audited") / "project")
        records.run()
        yield records


@pytest.fixture
def records(original: Records, tmp_path: Path) -> Records:
    """A copy of it."""
    return copy_of(original, tmp_path / "project")


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH with the auditor's tools and no Python."""
    return path_of(tmp_path / "bin", TOOLS)


def commands_of(folder: Path) -> list[str]:
    """Return the commands in the footer of report.md."""
    block = (folder / "report.md").read_text().rpartition("```sh\n")[2].partition("\n```")[0]
    return block.splitlines()


def typed(command: str, runs: Path, tools: Path) -> subprocess.CompletedProcess[str]:
    """Type a command in the folder of the records."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=runs, env={"PATH": str(tools), "HOME": os.devnull}, capture_output=True, text=True,
    )  # fmt: skip


def test_footer_commands_verify_a_sealed_run(records: Records, tools: Path) -> None:
    """The three commands, as printed, say that the signature is good, every file is whole, and what the head is."""
    (folder,) = records.runs.glob("2*")
    signature, files, head = commands_of(folder)
    good = typed(signature, records.runs, tools)
    assert (good.returncode, good.stdout.startswith('Good "run@aurora" signature for engine@desk')) == (0, True)
    whole = typed(files, records.runs, tools)
    assert whole.returncode == 0
    names = {line.removesuffix(": OK") for line in whole.stdout.splitlines()}
    evidence = {f"{folder.name}/evidence.json", f"{folder.name}/evidence.json.sig"}
    assert names == {str(path.relative_to(records.runs)) for path in folder.rglob("*") if path.is_file()} - evidence
    assert typed(head, records.runs, tools).stdout.split()[0] == records.head().sha256


def test_footers_of_both_reports_say_the_same(records: Records) -> None:
    """The page says the same commands as the Markdown."""
    (folder,) = records.runs.glob("2*")
    page = (folder / "report.html").read_text()
    shown = re.findall(r"<pre[^>]*>(ssh-keygen -Y.*?)</pre>", page, re.DOTALL)
    assert [html.unescape(text).splitlines() for text in shown] == [commands_of(folder)]


@pytest.mark.parametrize("name", ["journal.jsonl", "report.md", "report.html", "inputs/runbooks/book.yaml"])
def test_footer_commands_find_a_changed_file(records: Records, tools: Path, name: str) -> None:
    """One changed byte of any file: sha256sum names it."""
    (folder,) = records.runs.glob("2*")
    _, files, _ = commands_of(folder)
    raw = bytearray((folder / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (folder / name).write_bytes(raw)
    found = typed(files, records.runs, tools)
    assert found.returncode != 0
    assert f"{folder.name}/{name}: FAILED" in found.stdout


def test_footer_commands_find_changed_evidence(records: Records, tools: Path) -> None:
    """One changed byte of the evidence: ssh-keygen refuses the signature."""
    (folder,) = records.runs.glob("2*")
    signature, _, _ = commands_of(folder)
    path = folder / "evidence.json"
    path.write_bytes(path.read_bytes().replace(b"PASSED", b"PASSeD"))
    assert typed(signature, records.runs, tools).returncode != 0
