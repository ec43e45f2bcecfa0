"""A disk that is full, read-only or gone, and an output that nobody reads: clear words, and nothing lost."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from aurora.errors import JournalDamaged, RecordError
from aurora.journal import read_journal
from tests.engine.kit import COMMAND, Lab, kill, processes_in, wait_until
from tests.engine.test_stop import SESSION

WORDS = "x" * 400
MANY = "\n    steps:\n      - {id: first, uses: lab.once}\n" + "\n".join(
    f"      - {{id: s{n}, uses: lab.work, with: {{text: {WORDS}}}}}" for n in range(12)
)


def limited(kilobytes: int) -> list[str]:
    """Return the command under a limit on the size of each file that it writes: the kernel refuses what is more."""
    return ["bash", "-c", f'ulimit -f {kilobytes}; exec "$@"', "bash", *COMMAND]


def check_whole(lab: Lab) -> int:
    """Check that the newest run's journal holds whole lines only, and return how many."""
    text = read_journal(lab.last().folder / "journal.jsonl")
    assert text.torn == b""
    return len(text.events)


# ── Full ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_disk_that_fills_stops_the_run_and_loses_nothing(lab: Lab) -> None:
    """A journal that can't grow stops the run, exit 1, in words that say what to do; with room again it is resumed."""
    lab.book(MANY)
    done = lab.command("runbook", "book", command=limited(16))
    assert done.returncode == 1, done.stdout
    assert "can't be written: File too large" in done.stderr
    assert "invoke resume" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert check_whole(lab) > 5
    before = lab.last().events
    effects = lab.effects
    assert processes_in(lab.root) == {}
    ran = lab.resume()
    assert (ran.outcome, lab.effects.count("first once")) == ("green", 1)
    assert ran.events[: len(before)] == before
    assert lab.effects[: len(effects)] == effects


def test_disk_that_is_full_starts_nothing(lab: Lab) -> None:
    """Without room for the first line there is no run: nothing acts, no folder is left, and the message says it."""
    lab.book(MANY)
    for kilobytes in (0, 1, 4):
        done = lab.command("runbook", "book", command=limited(kilobytes))
        assert done.returncode == 1, done.stdout
        assert "nothing was run" in done.stderr or "nothing is done" in done.stderr
        assert "Traceback" not in done.stderr
        assert lab.effects == []
        assert list(lab.project.runs.glob("2*")) == []


def test_session_ends_cleanly_when_the_journal_can_not_be_written(lab: Lab) -> None:
    """Engine rule 23: what has begun is stopped, not killed, when the journal refuses: a session cancels its orders."""
    lab.steps("desk", SESSION)
    lab.book(
        MANY.replace("{id: first, uses: lab.once}", "{id: live, needs: [], uses: desk.session}", 1).replace(
            "{id: s0,", "{id: s0, needs: [], "
        )
    )
    done = lab.command("runbook", "book", command=limited(16))
    assert done.returncode == 1, done.stdout
    assert lab.effects[0] in ("live open", "s0 work")
    assert "live cancels its orders" in lab.effects
    assert lab.last().statuses["live"] == "running"


REDUCE = '''
    """Steps that only reduce, and one that does not."""
    from aurora.engine.context import Context
    from aurora.engine.registry import step
    from steps.lab import act

    @step(effects=["orders.reduce"], repeat="safe", dry_run="skip")
    def flatten(context: Context) -> None:
        act(context, f"{context.step} flatten")

    @step()
    def file_issue(context: Context) -> None:
        act(context, f"{context.step} issue")
'''
EMERGENCY = """
    steps:
      - {id: tell, uses: reduce.file_issue}
      - {id: flatten, uses: reduce.flatten}
"""


def test_flattening_goes_on_when_the_journal_can_not_be_written(lab: Lab) -> None:
    """Engine rule 23: the session is stopped, its failure path and `finally` flatten, nothing else is done; exit 1."""
    lab.steps("desk", SESSION)
    lab.steps("reduce", REDUCE)
    lab.book(EMERGENCY, "emergency")
    lab.book(
        MANY.replace(
            "{id: first, uses: lab.once}",
            "{id: live, needs: [], uses: desk.session, on_failure: {runbook: emergency}}",
            1,
        ).replace("{id: s0,", "{id: s0, needs: [], ")
        + "\n    finally:\n      - {id: note, uses: lab.work}\n      - {id: out, uses: reduce.flatten}\n"
    )
    done = lab.command("runbook", "book", command=limited(16))
    assert done.returncode == 1, done.stdout
    assert "nothing of it is on record" in done.stderr
    assert "no alert went out" in done.stderr  # the lab's profile knows no alerts
    assert "Traceback" not in done.stderr
    late = lab.effects[lab.effects.index("live cancels its orders") :]
    assert late == ["live cancels its orders", "live/on_failure/flatten flatten", "out flatten"]
    assert check_whole(lab) > 5
    assert not {"live/on_failure/flatten", "out"} & set(lab.last().statuses)
    assert processes_in(lab.root) == {}


@pytest.fixture
def small_disk(lab: Lab) -> Iterator[Path]:
    """A file system of its own under `runs/`, of 256 kB; skipped where nobody may mount one."""
    runs = lab.project.runs
    runs.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", runs], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield runs
    subprocess.run(["umount", "--lazy", runs], check=True)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def test_real_full_disk(lab: Lab, small_disk: Path) -> None:
    """On a disk that really is full the run stops with exit 1 and whole lines; when there is room again it goes on."""
    lab.book(
        "\n    steps:\n      - {id: w, uses: lab.wait_for, with: {name: go}}\n"
        + "\n".join(f"      - {{id: s{n}, uses: lab.once}}" for n in range(12))
    )
    process = lab.spawn("runbook", "book")
    wait_until(lambda: "w waiting" in lab.effects)
    ballast = small_disk / "ballast"
    fill(ballast)
    (lab.root / "go").touch()
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 1, said
    assert "No space left on device" in said
    assert "Traceback" not in said
    check_whole(lab)
    done = lab.command("resume", "last")
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    ballast.unlink()
    ran = lab.resume()
    assert ran.outcome == "green"
    assert sorted(line for line in lab.effects if "once" in line) == sorted(f"s{n} once" for n in range(12))
    assert check_whole(lab) == len(ran.events)


# ── Read-only ────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def read_only(lab: Lab) -> Iterator[Path]:
    """A folder `runs/` that can't be written: by its mode, or for root, who writes anywhere, by a mount."""
    lab.book("\n    steps:\n      - {id: a, uses: lab.once}\n")
    ran = lab.run()
    ran.cut_after("run.opened")
    (lab.root / "effects.txt").unlink()
    runs = lab.project.runs
    if os.geteuid() != 0:
        folders = [path for path in (runs, *runs.rglob("*")) if path.is_dir()]
        files = [path for path in runs.rglob("*") if path.is_file()]
        for path in (*files, *folders):
            path.chmod(0o444 if path in files else 0o555)
        yield runs
        for path in (*folders, *files):
            path.chmod(0o755)
        return
    for words in (["--bind", str(runs)], ["-o", "remount,bind,ro"]):
        done = subprocess.run(["mount", *words, runs], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    yield runs
    subprocess.run(["umount", "--lazy", runs], check=True)


@pytest.mark.parametrize("words", [["runbook", "book"], ["resume", "last"], ["cancel", "last", "--reason", "x"]])
def test_read_only_runs(lab: Lab, read_only: Path, words: list[str]) -> None:
    """A `runs/` that can't be written refuses in words, exit 1: nothing is run without a record, nothing is changed."""
    before = {path: path.stat().st_mtime_ns for path in read_only.rglob("*")}
    done = lab.command(*words)
    assert done.returncode == 1, done.stdout
    assert "Read-only file system" in done.stderr or "Permission denied" in done.stderr
    assert "nothing was run" in done.stderr
    assert "Traceback" not in done.stderr
    assert {path: path.stat().st_mtime_ns for path in read_only.rglob("*")} == before
    assert lab.effects == []


# ── Torn and damaged ─────────────────────────────────────────────────────────────────────────────────────────────────
def killed(lab: Lab) -> Path:
    """Kill a run in its second step, and return its journal."""
    lab.book("\n    steps:\n      - {id: a, uses: lab.once}\n      - {id: b, uses: lab.wait_for, with: {name: go}}\n")
    process = lab.spawn("runbook", "book")
    wait_until(lambda: "b waiting" in lab.effects)
    kill(process)
    (lab.root / "go").touch()
    return lab.last().folder / "journal.jsonl"


@pytest.mark.parametrize("tail", [b'{"seq":7,"prev"', b"\0" * 4096], ids=["half a line", "NUL"])
def test_torn_journal_is_resumed(lab: Lab, tail: bytes) -> None:
    """Engine rule 20: a torn last line, or the NULs that a power cut leaves, is put aside, and the run goes on."""
    path = killed(lab)
    before = read_journal(path).events
    path.write_bytes(path.read_bytes() + tail)
    done = lab.command("resume", "last")
    assert done.returncode == 0, done.stderr
    assert f"its {len(tail)} bytes are kept in journal.jsonl.torn-" in done.stdout
    ran = lab.last()
    assert ran.events[: len(before)] == before
    (recovered,) = ran.of("journal.recovered")
    assert (path.parent / recovered["saved_as"]).read_bytes() == tail
    assert lab.effects == ["a once", "b waiting", "b waiting"]


def test_damaged_journal_is_not_resumed(lab: Lab) -> None:
    """Engine rule 20: a journal that was changed in its middle is not gone on with: exit 8, nothing changed."""
    path = killed(lab)
    raw = path.read_bytes().replace(b'"status":"passed"', b'"status":"failed"', 1)
    path.write_bytes(raw)
    for words in (["resume", "last"], ["cancel", "last", "--reason", "x"], ["show", "last"]):
        done = lab.command(*words)
        assert done.returncode == 8, done.stdout
        assert "does not follow the line above it" in done.stderr
        assert "Traceback" not in done.stderr
    assert path.read_bytes() == raw
    with pytest.raises(JournalDamaged):
        lab.resume()


def test_run_that_was_never_opened_is_not_resumed(lab: Lab) -> None:
    """A run whose first line never reached the disk is no run; it blocks nobody."""
    lab.book("lock: desk\nsteps:\n  - {id: a, uses: lab.once}\n")
    ran = lab.run()
    for raw in (b"", b'{"seq":1,'):
        (ran.folder / "journal.jsonl").write_bytes(raw)
        with pytest.raises(RecordError, match="was never opened"):
            lab.resume(ran.folder.name)
    assert lab.run().outcome == "green"


# ── Nobody reads ─────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("flags", ["", "--json"])
def test_output_that_is_closed_early_does_not_stop_the_run(lab: Lab, flags: str) -> None:
    """`| head -1` takes one line and goes; the run goes on to its end, with its own exit code, and no complaint."""
    lab.book("""
    steps:
      - {id: a, uses: lab.work, with: {seconds: 0.2}}
      - {id: b, uses: lab.work, with: {seconds: 0.2}, gate: n == 2}
    finally:
      - {id: bye, uses: lab.once}
    """)
    piped = ["bash", "-c", f'set -o pipefail; "$@" {flags} | head -1', "bash", *COMMAND]
    done = lab.command("runbook", "book", command=piped)
    assert done.returncode == 3, done.stderr
    assert all(line.startswith("record | ") for line in done.stderr.splitlines())
    assert len(done.stdout.splitlines()) == 1
    assert (lab.last().state.outcome, lab.effects) == ("red", ["a work", "b work", "bye once"])


def test_full_output_does_not_stop_the_run(lab: Lab) -> None:
    """An output that takes nothing (`> /dev/full`) is the same as none."""
    lab.book("\n    steps:\n      - {id: a, uses: lab.once}\n")
    with Path("/dev/full").open("w") as full:
        done = lab.command(
            "runbook", "book", options={"capture_output": False, "stdout": full, "stderr": subprocess.PIPE}
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert lab.last().state.outcome == "green"


def test_terminal_that_can_not_write_all_letters(lab: Lab) -> None:
    """An output in ASCII gets what it can show; signs that it can't are replaced, and the run goes on."""
    lab.book("\n    title: Überprüfung ✔\n    steps:\n      - {id: a, uses: lab.once}\n")
    done = lab.command("runbook", "book", env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert done.returncode == 0, done.stderr
    assert "?berpr?fung" in done.stdout
