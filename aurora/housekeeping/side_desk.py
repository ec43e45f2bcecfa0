"""A desk beside this one, in a folder of its own, and a simulated IB Gateway in a process of its own.

What runs there are the commands that a trader types. The kill flag, the lockout, the order journals and the records of
the project that it stands beside stay as they are.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from aurora.errors import OperatorError
from aurora.evidence.keys import VARIABLE

START_S = 30.0
_LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+)")
_PROGRAM = (sys.executable, "-c", "from aurora.commands.main import entry; entry()")
_NOT_ITS_OWN = ("GITHUB_TOKEN", "NTFY_URL", "HEARTBEAT_URL", VARIABLE, "AURORA_PERSON_KEY")
"""What would let it file, tell or sign where only the project may."""


def make_side_desk(root: Path, folder: Path) -> Path:
    """Make a desk in `folder` with the runbooks, steps and profiles of the project at `root`; return its root."""
    desk = folder / "desk"
    desk.mkdir(parents=True)
    for name in ("runbooks", "steps", "profiles"):  # no links: a record holds what ran
        shutil.copytree(root / name, desk / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", desk)
    return desk


def side_environment(address: str, account: str, client_id: int) -> dict[str, str]:
    """Return the environment of commands in a side desk, whose gateway is at `address` (HOST:PORT)."""
    host, _, port = address.rpartition(":")
    mine = {name: value for name, value in os.environ.items() if name not in _NOT_ITS_OWN}
    wire = {"BROKER": "ibkr", "IB_HOST": host, "IB_PORT": port, "IB_CLIENT_ID": str(client_id), "IB_ACCOUNT": account}
    return {**mine, **wire, "CI": "true"}


@contextlib.contextmanager
def passing_key() -> Iterator[dict[str, str]]:
    """Yield the variable that names a side desk's signing key, which ends with the context: no record holds one."""
    with tempfile.TemporaryDirectory(prefix="aurora-key-") as place:
        yield {VARIABLE: str(Path(place) / "engine")}


@contextlib.contextmanager
def simulated_gateway(
    folder: Path, scenario: str, words: Sequence[str], environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run a gateway with `scenario` (YAML) while the context is open; yield HOST:PORT. Raises OperatorError.

    words: more of its flags. folder: where it runs, and where the scenario is written.
    """
    path = folder / "gateway.yaml"
    path.write_text(scenario)
    command = [*_PROGRAM, "gateway", "--port", "0", "--scenario", str(path), *words]
    with subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as process:  # fmt: skip
        late = threading.Timer(START_S, process.kill)
        late.start()
        try:
            assert process.stdout is not None
            heard: list[str] = []
            for line in process.stdout:
                heard.append(line)
                if found := _LISTENING.search(line):
                    late.cancel()
                    threading.Thread(target=process.stdout.read, daemon=True).start()  # or it would stand still, full
                    yield f"127.0.0.1:{found[1]}"
                    return
            raise OperatorError(
                f"The simulated gateway did not start: {''.join(heard).strip() or 'it said nothing'}",
                means="nothing was tried",
                todo="try it by hand: invoke gateway --port 0",
            )
        finally:
            late.cancel()
            process.kill()


def run_beside(desk: Path, environment: Mapping[str, str], words: Sequence[str], limit_s: float) -> tuple[int, str]:
    """Run one command of Aurora's in a side desk; return its exit code and what it said. Raises OperatorError."""
    try:
        done = subprocess.run([*_PROGRAM, *words], cwd=desk, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit_s,
                              check=False)  # fmt: skip
    except subprocess.TimeoutExpired as late:
        raise OperatorError(
            f"{words[0]} {words[1] if len(words) > 1 else ''} did not end within {limit_s:.0f} s.",
            means="what it came to is not known",
            todo=f"look into {desk}/runs",
        ) from late
    return done.returncode, done.stdout
