"""The guard behind cron: real child processes, a clock that tests move, and a memory that outlives a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from aurora.clock import ManualClock
from aurora.engine.project import Project
from aurora.engine.pulse import FILE, Looked, Pulse, trouble_since_last_run
from aurora.errors import RecordError, UsageError
from tests.engine.kit import ROOT

BOOK = """
    runbook: {name}
    params:
      n: {{type: integer, default: 1}}
      day: {{type: string, default: monday}}
      fast: {{type: boolean, default: false}}
      all: {{type: array, items: {{type: string}}, default: []}}
    schedule: {{cron: "{cron}", zone: UTC, {more}}}
    steps:
      - {{id: a, gate: 1 == 1}}
"""
CHILD = """
import os, sys, time
from pathlib import Path
with open("ran.txt", "a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
end = time.monotonic() + 30
while Path("hold").exists() and time.monotonic() < end:
    time.sleep(0.01)
sys.exit(int(Path("code").read_text()) if Path("code").exists() else 0)
"""
START = "2026-11-23T09:00:00+00:00"


class Desk:
    """A project with runbooks by schedule; what it would run is a small program that writes down how it was called."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "runbooks").mkdir()
        (root / "runs").mkdir()
        (root / "child.py").write_text(CHILD)
        self.clock = ManualClock(datetime.fromisoformat(START))

    def book(self, name: str = "book", cron: str = "0 * * * *", more: str = "window: 10m") -> None:
        self.root.joinpath(f"runbooks/{name}.yaml").write_text(
            textwrap.dedent(BOOK).lstrip().format(name=name, cron=cron, more=more)
        )

    def look(self, minutes: float = 0, *names: str) -> Looked:
        """Let minutes pass and look."""
        self.clock.advance(minutes * 60)
        return Pulse(Project(self.root), self.clock, [sys.executable, str(self.root / "child.py")]).look(names)

    @property
    def ran(self) -> list[str]:
        path = self.root / "ran.txt"
        return path.read_text().splitlines() if path.exists() else []

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.root / "runs" / FILE).read_text().splitlines()]

    def events(self) -> list[str]:
        return [line["event"] for line in self.lines()]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Return a desk with one runbook, due each hour, that was looked at once."""
    made = Desk(tmp_path)
    made.book()
    made.look()
    return made


def test_what_was_due_before_the_first_look_is_nobodys(tmp_path: Path) -> None:
    """A new schedule begins to count when it is first seen: nothing is missed, nothing is run."""
    made = Desk(tmp_path)
    made.book()
    assert made.look().said == []
    assert made.events() == ["since"]
    assert made.ran == []


def test_a_run_begins_once_at_its_time(desk: Desk) -> None:
    """Of many looks around a time one begins the run; what began and how it ended is on record."""
    for _ in range(3):
        assert desk.look(19.9).code == 0
    desk.look(0.4)
    desk.look(1)
    desk.look(1)
    assert desk.ran == ["runbook book"]
    assert desk.events() == ["since", "begun", "ended"]
    assert desk.lines()[1]["due"] == "2026-11-23T10:00:00.000000Z"


def test_parameters_of_the_schedule_are_flags(desk: Desk) -> None:
    """`with` reaches the run as the flags that a person would type, a leading dash in a value too."""
    desk.book(more='with: {n: -3, day: "-x y", fast: true, all: [SPY, TSLA]}')
    desk.look(60)
    assert desk.ran == ["runbook book --n=-3 --day=-x y --fast --all=SPY,TSLA"]


def test_the_exit_code_is_the_worst_and_a_refusal_is_told(desk: Desk) -> None:
    """The look exits as its worst run did; a run that did not start is something to hear of."""
    desk.root.joinpath("code").write_text("2")
    looked = desk.look(61)
    assert looked.code == 2
    assert [title for _, title, _ in looked.trouble] == ["book ended with exit 2"]
    assert desk.lines()[-1]["exit"] == 2


def test_a_missed_run_is_said_by_the_next(desk: Desk) -> None:
    """After hours off, each missed run is on record and told, and the next run knows of it, once."""
    looked = desk.look(3 * 60 + 30)
    assert desk.ran == []
    assert [name for name, _, _ in looked.trouble] == ["book"] * 3
    desk.look(30)
    assert desk.ran == ["runbook book"]
    assert trouble_since_last_run(desk.root / "runs", "book") == []  # of a run by hand: it was said by the one before
    path = desk.root / "runs" / FILE
    path.write_text("".join(json.dumps(line) + "\n" for line in desk.lines()[:-1]))  # while that run is still going
    assert len(trouble_since_last_run(desk.root / "runs", "book")) == 3
    assert "missed" in trouble_since_last_run(desk.root / "runs", "book")[0]


def looking(desk: Desk, at: str) -> subprocess.Popen[bytes]:
    """Start a look in a process of its own, at an instant."""
    code = f"""
    import sys
    from datetime import datetime
    from pathlib import Path
    from aurora.clock import ManualClock
    from aurora.engine.project import Project
    from aurora.engine.pulse import Pulse
    clock = ManualClock(datetime.fromisoformat("{at}"))
    root = Path({str(desk.root)!r})
    sys.exit(Pulse(Project(root), clock, [sys.executable, str(root / "child.py")]).look().code)
    """
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], env={**os.environ, "PYTHONPATH": str(ROOT)},
                            start_new_session=True)  # fmt: skip


def wait_for_ran(desk: Desk, count: int) -> None:
    """Wait until `count` runs have begun."""
    end = time.monotonic() + 30
    while len(desk.ran) < count:
        assert time.monotonic() < end, "no run began"
        time.sleep(0.01)


def test_a_run_that_is_going_is_left_alone_and_told(desk: Desk) -> None:
    """While a run goes on the next is not begun, that is told, and the one that goes ends as it would have."""
    desk.root.joinpath("hold").touch()
    with looking(desk, "2026-11-23T10:00:30+00:00") as first:
        wait_for_ran(desk, 1)
        looked = desk.look(121)
        assert [title for _, title, _ in looked.trouble] == ["book: still going"]
        desk.root.joinpath("hold").unlink()
        assert first.wait(30) == 0
    assert len(desk.ran) == 1
    assert desk.events() == ["since", "begun", "still going", "ended"]


def test_a_killed_guard_leaves_its_run_alone_and_the_next_look_says_so(desk: Desk) -> None:
    """Kill -9 of the guard: its run goes on and blocks the next; when it is over, it is told as lost, once."""
    desk.root.joinpath("hold").touch()
    with looking(desk, "2026-11-23T10:00:30+00:00") as guard:
        wait_for_ran(desk, 1)
        guard.kill()
        guard.wait(30)
    assert desk.look(61).trouble == []
    assert "still going" in desk.look(60).trouble[0][1]
    desk.root.joinpath("hold").unlink()
    end = time.monotonic() + 30
    while "lost" not in desk.events() and time.monotonic() < end:
        desk.look(0)  # until the child has gone
    assert desk.events() == ["since", "begun", "still going", "lost"]
    desk.look(60)
    assert desk.events()[-2:] == ["begun", "ended"]
    assert len(desk.ran) == 2


def test_two_guards_at_once_begin_one_run(desk: Desk) -> None:
    """However many look at the same moment, a run is begun once."""
    guards = [looking(desk, "2026-11-23T10:00:30+00:00") for _ in range(4)]
    assert [guard.wait(60) for guard in guards] == [0] * 4
    assert len(desk.ran) == 1


def test_a_torn_line_is_no_line(desk: Desk) -> None:
    """A memory that was cut inside a line goes on: the whole lines count, and the next is a line of its own."""
    desk.look(61)
    path = desk.root / "runs" / FILE
    path.write_bytes(path.read_bytes() + b'{"ts": "2026')
    desk.look(60)
    assert len(desk.ran) == 2
    assert desk.look(0).said == []


def test_a_changed_schedule_counts_from_now(desk: Desk) -> None:
    """Who changes the time at noon has missed nothing of this morning."""
    desk.look(61)
    desk.book(cron="30 9,11 * * *", more="catch_up: last")
    assert desk.look(5).trouble == []
    desk.look(90)
    assert desk.events() == ["since", "begun", "ended", "since", "begun", "ended"]


def test_a_clock_that_was_ahead_stops_no_schedule(desk: Desk) -> None:
    """A line of a time to come is said and counted from now on: nothing waits a year for it."""
    path = desk.root / "runs" / FILE
    path.write_text(path.read_text().replace("2026-11-23", "2027-11-23"))
    desk.look(1)
    assert "set back" in desk.lines()[-1]["why"]
    desk.look(60)
    assert len(desk.ran) == 1


def test_one_bad_runbook_keeps_no_other_from_running(desk: Desk) -> None:
    """A schedule that can't be read, or names a calendar that is not there, is said and exits 2; the others run."""
    desk.book("broken", cron="61 * * * *")
    desk.book("strange", more="calendar: XMARS")
    looked = desk.look(1)
    assert looked.code == 2
    looked = desk.look(60)
    assert desk.ran == ["runbook book"]
    assert any("broken: its schedule can't be read" in line for line in looked.said)
    assert any("strange: not run: there is no calendar" in line for line in looked.said)


def test_only_the_named_are_looked_at(desk: Desk) -> None:
    """A systemd timer of one runbook runs that one; a name that is none is refused."""
    desk.book("other")
    desk.look()
    desk.look(61, "other")
    assert desk.ran == ["runbook other"]
    with pytest.raises(UsageError, match="no runbook 'bok'"):
        desk.look(0, "bok")


def test_no_memory_no_run(desk: Desk) -> None:
    """A guard whose memory is no file begins nothing: exit 1 and what to do, by name."""
    path = desk.root / "runs" / FILE
    path.unlink()
    path.mkdir()
    with pytest.raises(RecordError, match=FILE):
        desk.look(61)
    assert desk.ran == []


def test_a_killed_run_has_an_exit_code(desk: Desk) -> None:
    """A run that a signal ended is on record as 128 and the signal's number, and somebody hears of it."""
    desk.root.joinpath("child.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    looked = desk.look(61)
    assert looked.code == 128 + signal.SIGKILL
    assert len(looked.trouble) == 1
