"""A person's crontab: what is Aurora's goes in and out, nothing else of it changes; and Debian's own cron, if there."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aurora.engine import crontab
from aurora.errors import OperatorError
from tests.engine.kit import ROOT

FAKE = """#!/bin/sh
# A crontab that keeps its table in a file.
if [ -e "$TABLE.broken" ]; then echo "must be privileged" >&2; exit 1; fi
case "$1" in
-l) [ -e "$TABLE" ] && exec cat "$TABLE"; echo "no crontab for trader" >&2; exit 1 ;;
-r) rm "$TABLE" ;;
-) exec cat > "$TABLE" ;;
esac
"""
THEIRS = "# mine\nMAILTO=me@example.invalid\n5 4 * * * echo 'a % b'\n"


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the table of a crontab program that is first on PATH."""
    program = tmp_path / "bin/crontab"
    program.parent.mkdir()
    program.write_text(FAKE)
    program.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("TABLE", str(tmp_path / "table"))
    return tmp_path / "table"


def test_what_goes_in_comes_out(table: Path, tmp_path: Path) -> None:
    """Install and remove leave each line that is not Aurora's byte for byte; both twice are as once."""
    table.write_text(THEIRS)
    assert crontab.install(tmp_path)
    assert table.read_text() == THEIRS + crontab.block(tmp_path)
    assert not crontab.install(tmp_path)
    assert crontab.remove(tmp_path)
    assert table.read_text() == THEIRS
    assert not crontab.remove(tmp_path)


def test_two_projects_live_side_by_side(table: Path, tmp_path: Path) -> None:
    """One project's lines are not another's, even where its name begins like it."""
    crontab.install(tmp_path / "desk")
    crontab.install(tmp_path / "desk2")
    crontab.remove(tmp_path / "desk")
    assert table.read_text() == crontab.block(tmp_path / "desk2")
    crontab.remove(tmp_path / "desk2")
    assert not table.exists()


def test_a_crontab_that_was_edited_in_the_middle_is_left_alone(table: Path, tmp_path: Path) -> None:
    """Without the end of the block nobody can tell what is whose: nothing is changed, and that is said."""
    damaged = "".join(crontab.block(tmp_path).splitlines(keepends=True)[:-1]) + THEIRS
    table.write_text(damaged)
    with pytest.raises(OperatorError, match="crontab has"):
        crontab.remove(tmp_path)
    assert table.read_text() == damaged


def test_a_crontab_that_says_no_is_heard(table: Path, tmp_path: Path) -> None:
    """What crontab complains of is told with what to do; it is no empty table."""
    table.with_name("table.broken").touch()
    with pytest.raises(OperatorError, match="must be privileged"):
        crontab.install(tmp_path)


def test_no_crontab_names_the_other_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no cron, the message says how to get it, and that systemd will do."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OperatorError) as caught:
        crontab.install(tmp_path)
    assert "--systemd" in caught.value.todo


@pytest.mark.parametrize("name", ["my desk", "it's", "100% mine", "a;b$(c)"])
def test_the_line_runs_in_any_folder(tmp_path: Path, name: str) -> None:
    """A shell reads the line as it was meant, whatever the folder is called; cron's own % is escaped."""
    folder = tmp_path / name
    folder.mkdir()
    (folder / "aurora.py").write_text("import sys; print(*sys.argv[1:])")
    line = crontab.block(folder).splitlines()[1].removeprefix("* * * * * ")
    assert line.count("%") == line.count("\\%")
    done = subprocess.run(["/bin/sh", "-c", line.replace("\\%", "%")], check=False, capture_output=True, cwd="/")
    assert done.returncode == 0, done.stderr
    assert (folder / "logs/cron.log").read_text() == "cron --tick\n"


def test_units_look_once_a_minute(tmp_path: Path) -> None:
    """The timer is due each minute to the second, and its service looks at the one runbook."""
    made = crontab.units(tmp_path / "100%", "go-live")
    assert set(made) == {"aurora-go-live.service", "aurora-go-live.timer"}
    assert "OnCalendar=*-*-* *:*:00" in made["aurora-go-live.timer"]
    assert made["aurora-go-live.service"].count("cron --tick go-live\n") == 1
    assert f"WorkingDirectory={tmp_path}/100%%\n" in made["aurora-go-live.service"]


@pytest.fixture
def real_cron() -> Iterator[None]:
    """Run Debian's cron in the foreground for as long as the test takes, with root's crontab put back after it."""
    program = shutil.which("cron") or "/usr/sbin/cron"
    if not Path(program).exists() or shutil.which("crontab") is None:
        pytest.skip("there is no Debian cron here (apt-get install cron)")
    if os.geteuid() != 0:
        pytest.skip("only root can start cron")
    if Path("/run/crond.pid").exists() or Path("/var/run/crond.pid").exists():
        pytest.skip("a cron of this machine's own is running")
    before = subprocess.run(["crontab", "-l"], capture_output=True, check=False)
    daemon = subprocess.Popen([program, "-f"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        daemon.terminate()
        daemon.wait(30)
        Path("/run/crond.pid").unlink(missing_ok=True)
        if before.returncode == 0:
            subprocess.run(["crontab", "-"], input=before.stdout, check=False)
        else:
            subprocess.run(["crontab", "-r"], capture_output=True, check=False)


@pytest.mark.nightly
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("real_cron")
def test_debians_cron_runs_what_is_due(tmp_path: Path) -> None:
    """`invoke cron --install` under Debian's cron runs a runbook in its own zone, and --remove ends it."""
    for folder in ("runbooks", "steps", "profiles"):
        (tmp_path / folder).mkdir()
    (tmp_path / "profiles/base.yaml").write_text("mode: paper\nvenue: simulated\n")
    (tmp_path / "runbooks/tiny.yaml").write_text(
        'runbook: tiny\nschedule: {cron: "* * * * *", zone: Asia/Kathmandu}\nsteps:\n  - {id: a, gate: 1 == 1}\n'
    )
    (tmp_path / "aurora").symlink_to(ROOT / "aurora")  # cron's line has no PYTHONPATH
    aurora = [sys.executable, "-m", "aurora", "cron"]
    done = subprocess.run([*aurora, "--install"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    log = tmp_path / "logs/cron.log"
    end = time.monotonic() + 200
    while not (log.exists() and "ended, exit 0" in log.read_text()):
        assert time.monotonic() < end, log.read_text() if log.exists() else "cron ran nothing"
        time.sleep(0.5)
    assert "GREEN" in log.read_text()
    done = subprocess.run([*aurora, "--remove"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "out of your crontab" in done.stdout
    assert subprocess.run(["crontab", "-l"], capture_output=True, check=False).returncode != 0
