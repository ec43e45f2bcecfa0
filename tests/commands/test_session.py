"""`session`, as a person and as cron run it: a process of its own, a terminal, signals, a full disk."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pexpect
import pytest

from aurora.commands.main import main
from aurora.commands.session import _code_of_error
from aurora.errors import VenueRefusal
from aurora.execution.order_journal import Book, OrderJournal
from aurora.risk.lockout import Lockout
from tests.trading import ROOT, START, write_lean

AURORA = [sys.executable, "-c", "from aurora.commands.main import entry; entry()"]
PICTURE = "\x1b[?1049h"
SLOW = ("--quotes", "dummy:gaps_per_hour=0,speed=25", "--poll-sec", "1", "--minutes", "300")
"""A session that would take a quarter of an hour: it ends because something ends it."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project with the shipped profiles and no runbook."""
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    (tmp_path / "runbooks").mkdir()
    return tmp_path


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of a terminal that is no CI's."""
    mine = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR")}
    return {**mine, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **variables}


def piped(project: Path, *words: str, before: Callable[[], None] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a session without a terminal, to its end."""
    return subprocess.run(
        [*AURORA, "session", *words],
        cwd=project,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        preexec_fn=before,
    )


def started(project: Path, *words: str) -> subprocess.Popen[str]:
    """Begin a session without a terminal; return it when it has polled twenty times."""
    process = subprocess.Popen([*AURORA, "session", *words], cwd=project, env=environment(), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
    wait_for_polls(project)
    return process


def typed(
    project: Path, *words: str, size: tuple[int, int] = (30, 120), variables: Mapping[str, str] | None = None
) -> Any:
    """Begin a session at a terminal; return the terminal when it has polled twenty times."""
    child = pexpect.spawn(
        AURORA[0], [*AURORA[1:], "session", *words], cwd=str(project), env=environment(**(variables or {})),
        encoding="utf-8", timeout=60, dimensions=size,
    )  # fmt: skip
    wait_for_polls(project)
    return child


def wait_for_polls(project: Path, polls: int = 20) -> None:
    """Wait until the project's only session has written so many polls."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for record in project.glob("sessions/*/session.jsonl"):
            if record.read_bytes().count(b'"type":"poll"') >= polls:
                return
        time.sleep(0.02)
    raise AssertionError("the session did not poll")


def wait_for_end(child: Any) -> str:
    """Return what a terminal still says until its session has ended."""
    said = str(child.read())
    child.close()
    return said


def summary(project: Path) -> Mapping[str, Any]:
    """Return the summary of the project's only session."""
    (path,) = project.glob("sessions/*/summary.json")
    return json.loads(path.read_text())  # type: ignore[no-any-return]


def last_line(project: Path) -> Mapping[str, Any]:
    """Return the last line of the record of the project's only session."""
    (path,) = project.glob("sessions/*/session.jsonl")
    return json.loads(path.read_text().splitlines()[-1])  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("words", "mode", "sent"),
    [
        ((), "paper", True),
        (("--shadow",), "shadow", False),
        (("--profile", "sim"), "live", True),
        (("--profile", "sim", "--shadow"), "shadow", False),
    ],
)
def test_clean_session_says_what_it_was(project: Path, words: tuple[str, ...], mode: str, sent: bool) -> None:
    """Trading rule 1: mode and venue stand in the first line, in the summary and in the record; exit 0."""
    done = piped(project, "--steps", "60", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"session: {mode.upper()} on SIMULATED")
    assert f"{mode.upper()} on SIMULATED (simulated: no order left this machine)" in done.stdout
    found = summary(project)
    assert (found["mode"], found["venue"], found["sealed"], found["exit_code"]) == (mode, "simulated", False, 0)
    assert (found["result"]["orders_sent"] > 0) is sent
    assert last_line(project)["result"] == found["result"]
    assert "not sealed" in done.stdout
    assert list(project.glob("runs/2*")) == []


def test_summary_is_one_document_for_programs(project: Path) -> None:
    """--json prints the summary as it lies in the session's folder, and nothing else."""
    done = piped(project, "--steps", "5", "--json")
    assert json.loads(done.stdout) == summary(project)
    assert done.stderr == ""


def test_recording_is_traded(project: Path) -> None:
    """A recording is replayed, and the record of a session can be replayed in turn."""
    write_lean(project / "data")
    done = piped(project, "--quotes", "replay:data", "--symbols", "SPY,IBM", "--poll-sec", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = project.glob("sessions/*/session.jsonl")
    quotes = f"replay:{record.relative_to(project)}"
    again = piped(project, "--quotes", quotes, "--symbols", "SPY,IBM", "--poll-sec", "1")
    assert again.returncode == 0, again.stdout + again.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--steps", "0"), "steps was 0; a session has more than 0"),
        (("--minutes", "0"), "minutes was 0; a session has more than 0"),
        (("--minutes", "nan"), "must be a number like 5 or 0.5"),
        (("--steps", "-1"), "steps"),
        (("--poll-sec", "0.01"), "The poll interval was 0.01 s"),
        (("--symbols", "spy"), "Dummy quotes can't name 'spy'"),
        (("--symbols", "SPY,,TSLA"), "write it like SPY,TSLA"),
        (("--symbols", "SPY,SPY"), "named 2 times"),
        (("--symbols", ""), "write it like SPY,TSLA"),
        (("--profile", "sin"), "did you mean 'sim'"),
        (("--quotes", "dumy"), "did you mean 'dummy'"),
        (("--quotes", "replay:nowhere"), "There is no recording at nowhere"),
        (("--quotes", "dummy:speed=0"), "it is a number above 0"),
        (("--quotes", "dummy:start=15:56"), "There is no trading to be had"),
        (("--quotes", "dummy:day=2026-01-04"), "a Sunday"),
        (("--shado",), "did you mean '--shadow'"),
        (("--profile", "live_canary"), "invoke runbook go-live"),
    ],
)
def test_what_cannot_run_is_refused_in_words(project: Path, words: tuple[str, ...], said: str) -> None:
    """What no session can keep ends with exit 2 and the remedy, without a traceback."""
    done = piped(project, *words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_kill_flag_and_lockout_refuse_a_session(project: Path) -> None:
    """Nothing begins under the kill flag, and nothing live under live's lockout; paper is not locked out (rule 23)."""
    (project / "kill.flag").touch()
    assert piped(project, "--steps", "5").returncode == 2
    (project / "kill.flag").unlink()
    Lockout(project, "live").set("reject of a-1", "s", START)
    done = piped(project, "--profile", "sim", "--steps", "5")
    assert done.returncode == 2
    assert "unlock" in done.stderr
    assert piped(project, "--steps", "5").returncode == 0


def test_anomaly_is_exit_3_and_locks_live_out(project: Path) -> None:
    """An anomaly ends the session flat with exit 3; in live mode the lockout stands after it."""
    done = piped(project, "--profile", "sim", "--quotes", "dummy:seed=3,gaps_per_hour=900", "--steps", "200")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "ANOMALY, locked out" in done.stdout
    assert "invoke unlock" in done.stdout
    assert summary(project)["result"]["flat"] is True
    assert Lockout(project, "live").stands


def test_kill_flag_ends_a_session_with_exit_3(project: Path) -> None:
    """The kill flag stops a session that runs, and its exit code is red."""
    process = started(project, *SLOW)
    (project / "kill.flag").touch()
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 3, said + errors
    assert "the kill flag was set" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_first_signal_ends_it_flat(project: Path, number: int) -> None:
    """Engine rule 10: the first Ctrl-C, TERM or hang-up ends the session flat, exit 7, its record whole."""
    process = started(project, *SLOW)
    process.send_signal(number)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 7, said + errors
    assert "asked to stop: it flattens and ends" in errors
    assert last_line(project)["type"] == "session.closed"
    assert summary(project)["result"]["flat"] is True


def is_opened(project: Path) -> bool:
    """Return whether a session's record has its first line."""
    return any(path.read_bytes().endswith(b"\n") for path in project.glob("sessions/*/session.jsonl"))


def wait_until_idle(process: subprocess.Popen[str]) -> None:
    """Wait until a process has used no processor time for half a second: it sleeps where it means to."""
    used, since = "", time.monotonic()
    while time.monotonic() - since < 0.5:
        now = " ".join(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13])
        if now != used:
            used, since = now, time.monotonic()
        time.sleep(0.02)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="nothing here tells when a process sleeps")
def test_second_ctrl_c_ends_it_at_once(project: Path) -> None:
    """A second Ctrl-C does not wait for the way out: exit 7, and it says that nothing was flattened."""
    # a clock so slow that the session, which waits for the open, does not look again while this test runs
    words = [*AURORA, "session", "--quotes", "dummy:start=09:30,speed=0.001"]
    process = subprocess.Popen(words, cwd=project, env=environment(), stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not is_opened(project) and time.monotonic() < until:
        time.sleep(0.02)
    wait_until_idle(process)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    said = ""
    while "Once more" not in said:
        said += process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 7
    assert "not flattened" in errors
    assert not list(project.glob("sessions/*/summary.json"))


def test_full_disk_is_said_and_ends_it(project: Path) -> None:
    """A disk that refuses the record ends the session: exit 1, flat before that, and the message says so."""

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    done = piped(project, "--quotes", "dummy:gaps_per_hour=0", "--minutes", "60", before=small_disk)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "The disk refused a line of the session's record" in done.stderr
    assert "Traceback" not in done.stderr


def test_second_session_of_one_account_waits_outside(project: Path, capsys: pytest.CaptureFixture[str],
                                                     monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """Two sessions never count one account's limits apart: the second is refused with exit 2, and leaves nothing."""
    from aurora.quotes.dummy import DummyQuotes  # noqa: PLC0415 - made real-time here only

    monkeypatch.chdir(project)
    monkeypatch.setattr(DummyQuotes, "realtime", True)  # what IBKR's quotes are: its sessions share the day
    clock = DummyQuotes().clock
    day = OrderJournal.open(project, Book("paper", "simulated", "SIM", clock.now().date()), clock)
    try:
        assert find_fresh_and_run(["session", "--steps", "5"]) == 2
    finally:
        day.close()
    assert "Another session writes the order journal" in capsys.readouterr().err
    assert find_fresh_and_run(["session", "--steps", "5"]) == 0


def find_fresh_and_run(words: list[str]) -> int:
    """Run a command in this process, in the project around the current folder."""
    from aurora.commands.main import find_project_once  # noqa: PLC0415 - its memory is of another test's folder

    find_project_once.cache_clear()
    return main(words)


@pytest.mark.parametrize(("polls", "code"), [(0, 2), (1, 1)])
def test_venue_that_fails_on_the_way_did_not_refuse(tmp_path: Path, polls: int, code: int) -> None:
    """Exit 2 says that nothing was run: an error after the first poll keeps the code of its own."""
    record = tmp_path / "session.jsonl"
    record.write_text('{"type":"session.opened"}\n' + '{"type":"poll"}\n' * polls)
    assert _code_of_error(VenueRefusal("gone"), record) == code


def test_killed_session_leaves_its_record(project: Path) -> None:
    """After kill -9 the record holds every poll up to then, and the view beside it has gone, too."""
    process = started(project, *SLOW)
    process.kill()
    process.communicate(timeout=60)  # ends when the view, which holds the same pipes, has ended
    assert last_line(project)["type"] == "poll"


# ── At a terminal ────────────────────────────────────────────────────────────────────────────────────────────────────
def test_terminal_shows_a_picture(project: Path) -> None:
    """A terminal shows what the session is, its quotes and limits, and gets its first screen back for the summary."""
    child = typed(project, *SLOW)
    for words in ("PAPER on SIMULATED", "limits used", "spread bps", "kill.flag"):
        child.expect_exact(words)
    child.sendintr()
    said = wait_for_end(child)
    assert child.exitstatus == 7
    _, left, after = said.rpartition("\x1b[?1049l")
    assert left
    assert "PAPER on SIMULATED (simulated" in after


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"CI": "true"}, {"TERM": "dumb"}])
def test_plain_lines_where_they_are_asked_for(project: Path, variables: dict[str, str]) -> None:
    """NO_COLOR, CI or a dumb terminal get lines, with no escape sequence in them."""
    child = typed(project, *SLOW, variables=variables)
    child.sendintr()
    said = wait_for_end(child)
    assert child.exitstatus == 7
    assert "session: PAPER on SIMULATED" in said
    assert "\x1b" not in said


def test_terminal_of_twenty_columns(project: Path) -> None:
    """A terminal that is resized to almost nothing, and back, ends no session."""
    child = typed(project, *SLOW, size=(5, 20))
    child.expect_exact("PAPER")
    child.setwinsize(2, 3)
    wait_for_polls(project, 40)
    child.setwinsize(50, 200)
    child.expect_exact("spread bps")
    child.sendintr()
    wait_for_end(child)
    assert child.exitstatus == 7


def test_closed_terminal_ends_it_flat(project: Path) -> None:
    """A terminal that goes away hangs up: the session ends flat and writes its summary."""
    child = typed(project, *SLOW)
    os.close(child.child_fd)
    until = time.monotonic() + 60
    while not list(project.glob("sessions/*/summary.json")) and time.monotonic() < until:
        time.sleep(0.02)
    assert summary(project)["result"]["flat"] is True
    assert summary(project)["exit_code"] == 7


def test_terminal_that_nobody_reads(project: Path) -> None:
    """A terminal that takes nothing any more (Ctrl-S) stops the view, not the session: it runs, and ends flat."""
    child = typed(project, *SLOW)
    wait_for_polls(project, 60)  # many pictures more than a terminal's buffer holds
    child.sendintr()
    until = time.monotonic() + 60
    while not list(project.glob("sessions/*/summary.json")) and time.monotonic() < until:
        time.sleep(0.02)
    assert summary(project)["result"]["flat"] is True
    wait_for_end(child)
    assert child.exitstatus == 7


def test_reader_who_goes_away_ends_no_session(project: Path) -> None:
    """`| head -1`: the view loses its reader, the session runs to its end and writes its summary."""
    words = " ".join(f"'{word}'" for word in AURORA)
    command = f"{words} session --steps 60 | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=project, env=environment(), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=90)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\n") == 1
    assert summary(project)["exit_code"] == 0


def test_killed_view_ends_no_session(project: Path) -> None:
    """The view is nobody that a session waits for: killed, the session runs on."""
    process = started(project, *SLOW)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        process.kill()
        pytest.skip("no /proc here")
    for child in children.read_text().split():
        os.kill(int(child), signal.SIGKILL)
    wait_for_polls(project, 60)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 7
    process.communicate()
