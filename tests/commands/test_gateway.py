"""`gateway`: a gateway of one's own, in a process that ends by Ctrl-C."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.gateway.kit import Raw, order_fields

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def gateway_process(*words: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run `aurora gateway` on a free port; yield the process and its port."""
    command = [sys.executable, "-m", "aurora", "gateway", "--port", "0", *words]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            port = next(
                int(match[1]) for line in lines if (match := re.search(r"listening on 127\.0\.0\.1:(\d+)", line))
            )
            yield process, port
        finally:
            process.kill()


def run_gateway(*words: str) -> subprocess.CompletedProcess[str]:
    """Run `aurora gateway` to its end."""
    command = [sys.executable, "-m", "aurora", "gateway", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_it_serves_until_ctrl_c(tmp_path: Path) -> None:
    """A client connects, time passes by itself, an order fills; Ctrl-C ends the gateway with exit code 0."""
    scenario = tmp_path / "s.yaml"
    scenario.write_text("scenario: mine\nsettings: {account: DU42}\n")
    with gateway_process("--scenario", str(scenario), "--symbols", "SPY,QQQ", "--speed", "10") as (process, port):
        client = Raw(port)
        client.start()
        client.send(49, 1)
        first = client.receive_until(49)
        assert ["15", "1", "DU42"] in first
        client.send(*order_fields(1, "BUY", 1, "MKT", symbol="QQQ"))
        assert client.receive_until(59)
        while True:
            client.send(49, 1)
            if int(client.receive_until(49)[-1][2]) > int(first[-1][2]):
                break
            time.sleep(0.05)
        client.close()
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=30)
        assert process.returncode == 0, said
        assert "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "70000"], "0 to 65535"),
        (["--symbols", "spy"], "capital letters"),
        (["--quotes", "ibkr"], "come from an account"),
        (["--scenario", "nowhere.yaml"], "nowhere.yaml"),
        (["--sped", "2"], "did you mean '--speed'"),
    ],
)
def test_what_it_cannot_do_is_said(words: list[str], said: str) -> None:
    """A wrong flag, symbol, source or scenario is refused in words, and nothing listens."""
    done = run_gateway(*words)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "listening" not in done.stdout


def test_a_port_that_is_taken() -> None:
    """A port on which something listens already is named, with the flag that takes another one."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = run_gateway("--port", str(other.getsockname()[1]))
    assert done.returncode == 2
    assert "--port" in done.stderr
