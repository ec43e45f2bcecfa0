"""`kill`, `unlock` and `status` as a person types them: at a terminal where one is asked for, and without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pexpect
import pytest

from aurora.alerts.base import Alert, Priority
from aurora.alerts.unsent import Unsent, UnsentAlerts
from aurora.clock import ManualClock
from aurora.errors import OperatorError
from aurora.evidence.signing import LEDGER, sign
from aurora.execution.order_journal import Book, OrderJournal
from aurora.journal import read_journal
from aurora.risk.lockout import Lockout
from tests.evidence.sealed import chained
from tests.trading import ROOT, START

AURORA = [sys.executable, "-c", "from aurora.commands.main import entry; entry()"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project whose live mode is locked out."""
    (tmp_path / "runbooks").mkdir()
    Lockout(tmp_path, "live").set("reject of a-1", "s", START, "simulated")
    return tmp_path


def environment() -> dict[str, str]:
    """Return the environment of a terminal that is no CI's."""
    return {name: value for name, value in os.environ.items() if name != "CI"} | {"PYTHONPATH": str(ROOT)}


def piped(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command without a terminal."""
    return subprocess.run([*AURORA, *words], cwd=project, env=environment(), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)  # fmt: skip


def typed(project: Path, *words: str, more: Mapping[str, str] | None = None) -> tuple[int | None, str]:
    """Run a command at a terminal; return its exit code and what it said."""
    env = environment() | dict(more or {})
    child = pexpect.spawn(AURORA[0], [*AURORA[1:], *words], cwd=str(project), env=env, encoding="utf-8", timeout=60)
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


def test_status_tells_what_runs_and_what_waits(project: Path) -> None:
    """`status` names the process that has an account's orders open, alerts that nobody took, and the last run's end."""
    book = Book("live", "paper", "DU1", START.date())
    held = OrderJournal.open(project, book, ManualClock(START))
    UnsentAlerts(project).put(Unsent(Alert("Reject", "a-1", Priority.HIGH, (), START), "sim", (), "no network"))
    told = piped(project, "status").stdout
    assert f"! session     live-paper-DU1: process {os.getpid()} has its order journal" in told
    assert "! alert       not taken yet: Reject (no network): invoke announce" in told
    assert "! last run    there is none" in told
    held.close()
    assert "✔ sessions    none trades" in piped(project, "status").stdout


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


@pytest.fixture
def signs(project: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Let alice sign in that project; return the environment that names her key."""
    (project / "runs").mkdir()
    assert piped(project, "keys", "init").returncode == 0
    key = tmp_path_factory.mktemp("keys") / "alice"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, stdin=subprocess.DEVNULL)
    assert piped(project, "keys", "add", "alice@desk", f"{key}.pub").returncode == 0
    return {"AURORA_PERSON_KEY": str(key)}


def last_act(project: Path) -> dict[str, Any]:
    """Return the last act of the ledger."""
    return dict(read_journal(project / "runs/ledger.jsonl").events[-1].data)


@pytest.mark.parametrize("venue", ["live", "account", ""])
def test_lock_of_real_money_is_lifted_by_who_signs(project: Path, signs: dict[str, str], venue: str) -> None:
    """Trading rule 23: an anomaly on any venue but a simulated one (or on one that nobody knows) takes a signature."""
    Lockout(project, "live").set("reject of a-2", "s", START, venue)
    code, said = typed(project, "unlock", "--root-cause", "the feed was down")
    assert (code, "AURORA_PERSON_KEY" in said, Lockout(project, "live").stands) == (2, True, True)
    code, said = typed(project, "unlock", "--root-cause", "the feed was down", more=signs)
    assert (code, Lockout(project, "live").stands) == (0, False), said
    assert "signed by alice@desk" in said
    assert (last_act(project)["live"], last_act(project)["signature"]["principal"]) == (True, "alice@desk")
    record = read_journal(project / "runlocks/record.jsonl").events[-1].data
    assert record["signature"] == last_act(project)["signature"]
    assert piped(project, "verify").returncode == 0


def test_lock_of_a_rehearsal_is_lifted_unsigned_and_that_is_said(project: Path) -> None:
    """No real money hangs on what a simulated venue locked out."""
    code, said = typed(project, "unlock", "--root-cause", "a drill")
    assert (code, "it is not signed, as no real money hangs on it" in said) == (0, True), said


def test_flag_is_cleared_by_who_signs_where_the_desk_knows_persons(project: Path, signs: dict[str, str]) -> None:
    """Once allowed_signers names a person, the kill flag goes by a signature only."""
    piped(project, "kill", "--reason", "odd fills")
    code, said = typed(project, "kill", "--clear", "--reason", "they were a test's")
    assert (code, "AURORA_PERSON_KEY" in said, (project / "kill.flag").exists()) == (2, True, True)
    code, said = typed(project, "kill", "--clear", "--reason", "they were a test's", more=signs)
    assert (code, (project / "kill.flag").exists(), "signed by alice@desk" in said) == (0, False, True), said
    assert piped(project, "verify").returncode == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"root_cause": "nothing"}, "SIGNATURE"),
        ({"anomalies": []}, "SIGNATURE"),
        ({"anomalies": [7]}, "CONFIRMATION"),
        ({"signature": None}, "CONFIRMATION"),
    ],
)
def test_changed_unlock_is_found(project: Path, signs: dict[str, str], change: dict[str, Any], code: str) -> None:
    """Whoever has the engine's key can rewrite the ledger, but not what alice signed in it."""
    Lockout(project, "live").set("reject of a-2", "s", START, "live")
    assert typed(project, "unlock", "--root-cause", "the feed was down", more=signs)[0] == 0
    events = [
        {"ts": event.ts, "type": event.type, "data": dict(event.data)}
        for event in read_journal(project / "runs/ledger.jsonl").events
    ]
    events[-1]["data"] |= change  # type: ignore[operator]
    raw = chained(events)
    (project / "runs/ledger.jsonl").write_bytes(raw)
    (project / "runs/ledger.jsonl.sig").write_bytes(sign(raw, project / ".keys/engine", LEDGER))
    done = piped(project, "verify")
    assert (done.returncode, code in done.stdout) == (8, True), done.stdout


def test_anomaly_that_comes_while_it_is_signed_is_not_lifted(project: Path) -> None:
    """What was signed is what is lifted: a lock that grew meanwhile stands."""
    lockout = Lockout(project, "live")
    proof = {"anomalies": [vars(anomaly) for anomaly in lockout.anomalies()]}
    lockout.set("another", "s", START, "live")
    with pytest.raises(OperatorError, match="Another anomaly came"):
        lockout.lift("x", None, "ada", ManualClock(START), proof)
    assert lockout.stands
