"""A desk whose venue is a gateway in a process of its own, and all that a live profile asks of the world beside it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pexpect

from aurora.market.calendar import session_hours
from aurora.market.hours import exchange_day, in_new_york
from tests.github_server import serve_github
from tests.housekeeping.test_drift import answer, server
from tests.push_server import PushServer

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "U1234567"
SECONDS = 100


def seconds_until(hour: int, minute: int, days: int = 1) -> float:
    """Return how far ahead the instant `hour`:`minute` in New York of the next trading day, or a later one, is."""
    now = datetime.now(UTC)
    day = exchange_day(now)
    for _ in range(days):
        day += timedelta(days=1)
        while session_hours(day) is None:
            day += timedelta(days=1)
    return (in_new_york(day, time(hour, minute)) - now).total_seconds()


@dataclass
class WiredDesk:
    """A copy of the project, and the environment in which its live profile reaches its gateway."""

    root: Path
    environment: dict[str, str]

    def aurora(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run one command with no terminal; `variables` are laid over the environment."""
        return subprocess.run([sys.executable, "-m", "aurora", *words], cwd=self.root, stdin=subprocess.DEVNULL,
                              env={**self.environment, **variables}, capture_output=True, text=True,
                              timeout=SECONDS, check=False)  # fmt: skip

    def at_terminal(self, *words: str, **variables: str) -> tuple[int, str]:
        """Run one command at a terminal, where a person says yes to all; return exit code and screen.

        The code of one that was killed is the signal's number, less than zero.
        """
        environment = {**self.environment, "TERM": "dumb", **variables}
        del environment["CI"]
        person = pexpect.spawn(
            sys.executable, ["-m", "aurora", *words], cwd=self.root, env=environment, encoding="utf-8",
            timeout=SECONDS, dimensions=(50, 150),
        )  # fmt: skip
        seen = ""
        while person.expect_exact(["[y/n] ", pexpect.EOF]) == 0:
            seen += person.before
            person.sendline("y")
        seen += person.before
        person.close()
        return -person.signalstatus if person.exitstatus is None else person.exitstatus, seen

    def ends(self) -> dict[str, dict[str, Any]]:
        """Return the end of each step of the newest run."""
        folder = max(path for path in (self.root / "runs").iterdir() if path.name.startswith("2"))
        events = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
        return {event["data"]["step"]: event["data"] for event in events if event["type"] == "step.finished"}


@contextmanager
def gateway(desk: WiredDesk, scenario: Mapping[str, Any]) -> Iterator[str]:
    """Run `aurora gateway` with a scenario (JSON is YAML, too); yield its port."""
    path = desk.root / "gateway.yaml"
    path.write_text(json.dumps({"scenario": "wire", **scenario}))
    words = ["--port", "0", "--scenario", str(path), "--quotes", "dummy:seed=7,gaps_per_hour=0"]
    command = [sys.executable, "-m", "aurora", "gateway", *words]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=desk.root, env=desk.environment, **pipes) as process:
        try:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            yield next(match[1] for line in lines if (match := re.search(r"listening on 127\.0\.0\.1:(\d+)", line)))
        finally:
            process.kill()


@contextmanager
def wired_desk(root: Path, ahead_s: float) -> Iterator[WiredDesk]:
    """Make a desk in `root` whose clock is `ahead_s` ahead, with a GitHub, a time server and a phone on loopback."""
    for name in ("runbooks", "steps", "profiles"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", ".gitignore"):
        shutil.copy(ROOT / name, root)
    with ExitStack() as stack:
        github = stack.enter_context(serve_github())
        github.secrets = ["NTFY_URL", "HEARTBEAT_URL"]
        github.variables = ["BROKER", "IB_HOST", "IB_PORT", "IB_CLIENT_ID", "IB_ACCOUNT"]
        clock = stack.enter_context(server(lambda request: answer(request, 0.0)))
        phone = stack.enter_context(PushServer())
        for name in ("live_canary", "paper_account"):
            profile = root / f"profiles/{name}.yaml"
            profile.write_text(re.sub(r"ntp_servers: .*", f"ntp_servers: ['{clock}']", profile.read_text()))
        environment = {
            **os.environ, **github.environment, "CI": "true", "NTFY_URL": phone.address, "HEARTBEAT_URL": phone.address,
            "BROKER": "ibkr", "IB_HOST": "127.0.0.1", "IB_PORT": "9", "IB_CLIENT_ID": "11", "IB_ACCOUNT": ACCOUNT,
            "PYTHONPATH": f"{ROOT / 'aurora/checks/ahead'}:{ROOT}", "AURORA_AHEAD_S": str(ahead_s),
        }  # fmt: skip
        yield WiredDesk(root, environment)
