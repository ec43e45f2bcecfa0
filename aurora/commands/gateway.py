"""`gateway`: a simulated IB Gateway on this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

from aurora.commands.parser import Invocation
from aurora.engine.project import Project
from aurora.errors import OperatorError, UsageError
from aurora.gateway.faults import open_gateway
from aurora.gateway.gateway import Gateway
from aurora.gateway.running import serve_forever
from aurora.gateway.scenario import Scenario, read_scenario
from aurora.quotes.sources import open_quotes

HOST = "127.0.0.1"
_MAX_PORT = 65535


def execute(project: Project, invocation: Invocation) -> int:
    """Serve until interrupted; 0 then."""
    options = invocation.options
    if not 0 <= options.port <= _MAX_PORT:
        raise UsageError(f"--port was {options.port}; it is 0 to {_MAX_PORT}.", todo="name a free one, or 0 for any")
    scenario = read_scenario(Path(options.scenario)) if options.scenario else Scenario()
    source = open_quotes(options.quotes, root=project.root, seed=scenario.seed)
    gateway = open_gateway(source, tuple(options.symbols.split(",")), scenario)
    _say(f"account {gateway.settings.account} · quotes {source.name} · scenario {scenario.name} · Ctrl-C ends it")
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_serve(gateway, options.port, options.speed))
    finally:
        source.close()
    return 0


async def _serve(gateway: Gateway, port: int, speed: int) -> None:
    try:
        await serve_forever(gateway, HOST, port, speed, _say)
    except OSError as error:
        raise OperatorError(
            f"The port {port} can't be opened: {error.strerror or error}.",
            means="the gateway was not started",
            todo="end what listens there, or name another with --port",
        ) from error


def _say(line: str) -> None:
    sys.stdout.write(f"gateway: {line}\n")
    sys.stdout.flush()
