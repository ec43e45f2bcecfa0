"""The line in a person's crontab that looks once a minute, and the systemd units that do the same.

Debian's cron knows one time zone, the machine's, and ignores CRON_TZ: so cron only gives the beat, and the guard
(`aurora.engine.pulse`) decides in the runbook's own zone what is due.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from aurora.errors import OperatorError

TIMEOUT_S = 20
_PLAIN_UNIT = "abcdefghijklmnopqrstuvwxyz0123456789-_"


def block(root: Path) -> str:
    """Return what the crontab holds for the project at `root`. Raises OperatorError for a path that it can't hold."""
    if "\n" in str(root):
        raise OperatorError("The project's path has a line break; a crontab can't name it.", todo="rename the folder")
    folder, python = shlex.quote(str(root)), shlex.quote(sys.executable)
    line = f"cd {folder} && mkdir -p logs && {python} -m aurora cron --tick >> logs/cron.log 2>&1"
    escaped = line.replace("%", "\\%")  # crontab(5): a bare % ends the command
    begin, end = _marks(root)
    return f"{begin}\n* * * * * {escaped}\n{end}\n"


def install(root: Path) -> bool:
    """Put the project's line into the user's crontab; return whether anything changed. Raises OperatorError."""
    before = _read()
    return _write_if_new(before, _without(before, root) + block(root))


def remove(root: Path) -> bool:
    """Take the project's line out of the user's crontab; return whether it was there. Raises OperatorError."""
    before = _read()
    return _write_if_new(before, _without(before, root))


def units(root: Path, runbook: str) -> dict[str, str]:
    """Return a systemd service and its timer by file name; each runbook has its own, so that none waits for another."""
    name = "aurora-" + "".join(sign if sign in _PLAIN_UNIT else "-" for sign in runbook)
    folder = str(root).replace("%", "%%")
    python = sys.executable.replace("%", "%%").replace('"', '\\"')
    service = (
        f"[Unit]\nDescription=Aurora: {runbook}, if it is due\n\n[Service]\nType=oneshot\nWorkingDirectory={folder}\n"
        f'ExecStart="{python}" -m aurora cron --tick {runbook}\nTimeoutStartSec=infinity\n'
    )
    timer = (
        f"[Unit]\nDescription=Look once a minute whether {runbook} is due\n\n[Timer]\nOnCalendar=*-*-* *:*:00\n"
        "AccuracySec=1s\n\n[Install]\nWantedBy=timers.target\n"
    )
    return {f"{name}.service": service, f"{name}.timer": timer}


def _marks(root: Path) -> tuple[str, str]:
    return f"# >>> aurora {root} (invoke cron --remove takes it out)", f"# <<< aurora {root}"


def _without(text: str, root: Path) -> str:
    begin, end = _marks(root)
    kept, inside = [], False
    for line in text.splitlines(keepends=True):
        word = line.rstrip("\n")
        inside = inside or word == begin
        if not inside:
            kept.append(line)
        inside = inside and word != end
    if inside:
        raise OperatorError(
            f"The crontab has {begin!r} and no line {end!r} after it.",
            means="what belongs to Aurora can't be told from what does not; nothing was changed",
            todo="mend it: crontab -e",
        )
    rest = "".join(kept)
    return rest if not rest or rest.endswith("\n") else rest + "\n"


def _read() -> str:
    done = _crontab("-l")
    if done.returncode == 0:
        return done.stdout
    if "no crontab for" in done.stderr:
        return ""
    raise _refused(done.stderr)


def _write_if_new(before: str, after: str) -> bool:
    if before == after:
        return False
    done = _crontab("-", given=after) if after else _crontab("-r")
    if done.returncode != 0:
        raise _refused(done.stderr)
    return True


def _crontab(word: str, given: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["crontab", word], input=given, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OperatorError(
            f"crontab can't be used: {getattr(error, 'strerror', None) or error}.",
            means="nothing was changed",
            todo="install cron (apt-get install cron), or use systemd: invoke cron --print --systemd",
        ) from error


def _refused(stderr: str) -> OperatorError:
    return OperatorError(
        f"crontab said: {stderr.strip()[:300] or 'nothing'}.", means="nothing was changed", todo="look: crontab -l"
    )
