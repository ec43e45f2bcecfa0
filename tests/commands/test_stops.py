"""`kill`, `unlock` and `status` as a person types them: at a terminal where one is asked for, and without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from aurora.journal import read_journal
from aurora.risk.lockout import Lockout
from tests.trading import ROOT, START

AURORA = [sys.executable, "-c", "from aurora.commands.main import entry; entry()"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project whose live mode is locked out."""
    (tmp_path / "runbooks").mkdir()
    Lockout(tmp_path, "live").set("reject of a-1", "s", START)
    return tmp_path


def environment() -> dict[str, str]:
    """Return the environment of a terminal that is no CI's."""
    return {name: value for name, value in os.environ.items() if name != "CI"} | {"PYTHONPATH": str(ROOT)}


def piped(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command without a terminal."""
    return subprocess.run([*AURORA, *words], cwd=project, env=environment(), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)  # fmt: skip


def typed(project: Path, *words: str) -> tuple[int | None, str]:
    """Run a command at a terminal; return its exit code and what it said."""
    child = pexpect.spawn(
        AURORA[0], [*AURORA[1:], *words], cwd=str(project), env=environment(), encoding="utf-8", timeout=60
    )
    said = child.read()
    child.close()
    return child.exitstatus, said.replace("\r\n", "\n")


def acts(project: Path) -> list[str]:
    """Return which acts are on record."""
    return [event.type for event in read_journal(project / "runlocks/record.jsonl").events]


def test_person_unlocks_with_a_root_cause(project: Path) -> None:
    """Trading rule 11: a person at a terminal lifts the lockout; root cause and issue are on record."""
    code, said = typed(project, "unlock", "--root-cause", "the feed was down", "--issue", "12")
    assert (code, Lockout(project, "live").stands) == (0, False), said
    assert "reject of a-1" in said
    (event,) = read_journal(project / "runlocks/record.jsonl").events
    assert (event.data["root_cause"], event.data["issue"]) == ("the feed was down", 12)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["unlock", "--root-cause", "cron thinks so"], "there is none here: no terminal"),
        (["unlock", "--root-cause", " "], "The root cause was empty"),
        (["unlock"], "--root-cause"),
    ],
)
def test_lockout_is_not_lifted_otherwise(project: Path, words: list[str], said: str) -> None:
    """Without a person, or without a root cause, the lockout stands (exit 2)."""
    done = piped(project, *words)
    assert (done.returncode, Lockout(project, "live").stands) == (2, True)
    assert said in done.stderr


def test_anyone_may_kill(project: Path) -> None:
    """`kill` needs no terminal: it sets the flag with who and why in it, and says when it was there already."""
    done = piped(project, "kill", "--reason", "odd fills")
    assert done.returncode == 0
    assert "odd fills" in (project / "kill.flag").read_text()
    assert "it was there already" in piped(project, "kill").stdout
    assert "odd fills" in (project / "kill.flag").read_text()
    assert acts(project) == ["killed", "killed"]


def test_kill_does_not_depend_on_the_record(project: Path) -> None:
    """Where the record can't be written the flag is set all the same, and that is said."""
    (project / "runlocks/record.jsonl").mkdir()
    done = piped(project, "kill")
    assert (done.returncode, (project / "kill.flag").exists()) == (0, True)
    assert "can't be written" in done.stderr


def test_person_clears_the_flag_with_a_reason(project: Path) -> None:
    """Trading rule 21: only a person clears the flag, with a reason, and what was in it is on record."""
    piped(project, "kill", "--reason", "odd fills")
    refused = [piped(project, "kill", "--clear", "--reason", "x"), piped(project, "kill", "--clear")]
    assert [done.returncode for done in refused] == [2, 2]
    assert (project / "kill.flag").exists()
    code, said = typed(project, "kill", "--clear", "--reason", "they were a test's")
    assert (code, (project / "kill.flag").exists()) == (0, False), said
    last = read_journal(project / "runlocks/record.jsonl").events[-1]
    assert (last.type, last.data["reason"], "odd fills" in last.data["flag"]) == (
        "kill.cleared", "they were a test's", True,
    )  # fmt: skip


def test_clearing_no_flag_is_said(project: Path) -> None:
    """There is nothing to clear where no flag is (exit 2)."""
    code, said = typed(project, "kill", "--clear", "--reason", "x")
    assert (code, "The kill flag is not set" in said) == (2, True)


def test_status_is_one_screen(project: Path) -> None:
    """`status` tells what stops trading, with exit 3 then, and what is unfinished."""
    piped(project, "kill", "--reason", "odd fills")
    done = piped(project, "status")
    assert done.returncode == 3
    for text in ("✘ kill flag   set: ", "odd fills", "✘ lockout     live, since 2026-01-05T14:35", "reject of a-1"):
        assert text in done.stdout
    (project / "kill.flag").unlink()
    (project / "runlocks/live.lock").unlink()
    done = piped(project, "status")
    assert (done.returncode, "✘" in done.stdout, "none is unfinished" in done.stdout) == (0, False, True)


def test_status_tells_the_days_orders(project: Path) -> None:
    """`status` adds the last day of each account's order journal up."""
    folder = project / "orders/live-paper-DU1"
    code = (
        "import sys\nfrom pathlib import Path\nfrom aurora.clock import ManualClock\nfrom tests.trading import *\n"
        "from aurora.execution.order_journal import Book, OrderJournal\n"
        "OrderJournal.open(Path('.'), Book('live', 'paper', 'DU1', START.date()), ManualClock(START))"
        ".intend(make_order(), opens=True, held=0)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=project, env=environment(), check=True)
    assert json.loads((folder / "2026-01-05.jsonl").read_text().splitlines()[1])["type"] == "order.intent"
    told = piped(project, "status").stdout
    assert "live-paper-DU1  2026-01-05: 1 orders, 1 without an end; 840.50 USD counted" in told


def test_acts_outside_of_runs_are_in_the_signed_ledger(project: Path) -> None:
    """Engine rule 21: kill, clear and unlock are `act` lines of the ledger, and the ledger verifies with them."""
    (project / "runs").mkdir()
    assert piped(project, "keys", "init").returncode == 0
    assert piped(project, "kill", "--reason", "drill").stderr == ""
    assert typed(project, "kill", "--clear", "--reason", "drill over")[0] == 0
    assert typed(project, "unlock", "--root-cause", "the feed was down")[0] == 0
    lines = read_journal(project / "runs/ledger.jsonl").events
    assert [(line.type, line.data["act"]) for line in lines] == [
        ("act", "killed"),
        ("act", "kill.cleared"),
        ("act", "unlocked"),
    ]
    assert lines[2].data["was"] == ["reject of a-1"]
    assert piped(project, "verify").returncode == 0


def test_a_kill_holds_where_nothing_can_be_signed(project: Path) -> None:
    """Nothing stands between a person and the stop: without a key or a ledger it is only said."""
    done = piped(project, "kill")
    assert (done.returncode, (project / "kill.flag").exists()) == (0, True)
    assert "not in the signed ledger" in done.stderr
