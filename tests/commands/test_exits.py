"""`flatten` and `reconcile` as a person types them, on the simulated venue; their work is tested where it is done."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aurora.journal import read_journal
from tests.commands.test_stops import AURORA, environment, piped
from tests.trading import ROOT

STUCK = """
import sys
from aurora import desk
from aurora.errors import VenueRefusal
def refuse(self, stack, **_):
    raise VenueRefusal("Nothing listens at 127.0.0.1:4002.")
desk.Desk.open_account = desk.Desk.open_observer = refuse
from aurora.commands.main import main
sys.exit(main(sys.argv[1:]))
"""
"""Aurora with a venue that can't be reached."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project with the shipped profiles and nothing else: no runbook, no key, no record."""
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    (tmp_path / "runbooks").mkdir()
    return tmp_path


def stuck(project: Path, *words: str) -> subprocess.Popen[str]:
    """Start a command whose venue can't be reached."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-c", STUCK, *words]
    return subprocess.Popen(command, cwd=project, env=environment(), text=True, **pipes)  # type: ignore[call-overload, no-any-return]


def test_flatten_says_whose_account_and_that_it_is_flat(project: Path) -> None:
    """The simulated account is flat; the first line says which venue it was, so that none is taken for another."""
    done = piped(project, "flatten", "--profile", "sim")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "flatten: account SIM · venue simulated · profile sim",
        "flatten: ✔ flat: the venue holds no position and no working order",
    ]


def test_dry_run_sends_and_records_nothing(project: Path) -> None:
    """`--dry-run` leaves no order journal behind."""
    done = piped(project, "flatten", "--profile", "sim", "--dry-run")
    assert done.returncode == 0
    assert "nothing would be sent" in done.stdout
    assert not (project / "orders").exists()


def test_kill_flag_lockout_and_a_broken_runbook_do_not_stop_it(project: Path) -> None:
    """Issue: it works while a kill flag and a lockout stand, with a runbook that can't be read and without any key."""
    (project / "kill.flag").touch()
    (project / "runlocks").mkdir()
    (project / "runlocks/live.lock").write_text("?\n")
    (project / "runbooks/broken.yaml").write_text("runbook: [")
    assert piped(project, "flatten", "--profile", "sim").returncode == 0


def test_market_orders_want_a_person(project: Path) -> None:
    """Trading rule 22: `--market` is a person's word: from a pipe nothing is sent; the plan says what it would be."""
    done = piped(project, "flatten", "--profile", "sim", "--market")
    assert done.returncode == 2
    assert "only a person asks for them" in done.stderr
    assert "Traceback" not in done.stderr
    assert piped(project, "flatten", "--profile", "sim", "--market", "--dry-run").returncode == 0


def test_account_that_is_shared_wants_its_symbols_named(project: Path) -> None:
    """Rule 2: on an account that is not dedicated nothing is flattened that nobody named."""
    (project / "profiles/shared.yaml").write_text("extends: sim\naccount: {dedicated: false}\nmode: shadow\n")
    done = piped(project, "flatten", "--profile", "shared")
    assert done.returncode == 2
    assert "invoke flatten --symbols SPY,TSLA" in done.stderr


def test_venue_that_can_not_be_reached_is_not_flat(project: Path) -> None:
    """Issue: what can't be confirmed is alarmed and never called flat; exit 3, and the log has the alert."""
    process = stuck(project, "flatten", "--profile", "sim", "--minutes", "0")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "! nothing is flattened yet: Nothing listens at 127.0.0.1:4002." in said
    assert "✘ NOT FLAT: the venue was not reached within" in said
    assert "NOT FLAT" in (project / "logs/alerts.log").read_text()


def test_ctrl_c_ends_it_and_a_closed_terminal_does_not(project: Path) -> None:
    """Rule 22: Ctrl-C ends a flatten (exit 7); a terminal that goes away does not."""
    process = stuck(project, "flatten", "--profile", "sim")
    assert process.stdout is not None
    while "nothing is flattened yet" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert (process.returncode, "NOT FLAT" in said) == (7, True)


def test_reader_that_goes_away_does_not_end_it(project: Path) -> None:
    """A flatten whose output nobody reads any more goes on to its end."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*AURORA, "flatten", "--profile", "sim"], cwd=project, env=environment(), stdout=write,
                          stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60, check=False)  # fmt: skip
    os.close(write)
    assert done.returncode == 0
    (path,) = (project / "orders").rglob("*.jsonl")
    assert [event.type for event in read_journal(path).events] == ["day.opened"]


def test_reconcile_agrees_on_a_day_without_orders(project: Path) -> None:
    """Nothing sent and nothing held agree (exit 0), and how much was compared is said."""
    done = piped(project, "reconcile", "--profile", "sim", "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert "✔ record and venue agree (0 orders, 0 fills, venue simulated, live-simulated-SIM/" in done.stdout


def test_reconcile_without_a_venue_is_no_agreement(project: Path) -> None:
    """A venue that can't be reached is an error in words, never a clean record."""
    process = stuck(project, "reconcile", "--profile", "sim")
    said, wrong = process.communicate(timeout=60)
    assert (process.returncode, said) == (1, "")
    assert "Nothing listens at 127.0.0.1:4002." in wrong
    assert "Traceback" not in wrong


def test_status_asks_the_venue_of_a_profile(project: Path) -> None:
    """With a profile the screen ends with what its venue holds; a venue that can't be reached is exit 3."""
    done = piped(project, "status", "--profile", "sim")
    assert done.returncode == 0
    last = "✔ venue       account SIM on simulated: 0 positions, 0 working orders, 100000.00 USD cash"
    assert done.stdout.splitlines()[-1] == last
    with stuck(project, "status", "--profile", "sim") as process:
        said, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (3, "")
    assert said.splitlines()[-1] == "✘ venue       Nothing listens at 127.0.0.1:4002."


def test_words_are_checked(project: Path) -> None:
    """Engine rule 28: a flag that is none runs nothing."""
    for words in (["flatten", "--dry"], ["flatten", "now"], ["reconcile", "--fix"], ["flatten", "--minutes", "x"]):
        assert piped(project, *words).returncode == 2, json.dumps(words)
