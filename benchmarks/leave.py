"""The way out: how soon the first cancel leaves after the command's start, and what a flatten takes beside its pacing.

Whole processes of `aurora flatten` against a gateway in this one. The floor is the pacing limit itself: as long as so
many messages, the profile's 100 ms apart, take at the least. A position needs three: what it is, its quote, its order.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aurora.gateway.faults import open_gateway
from aurora.gateway.running import running
from aurora.gateway.scenario import build_scenario
from aurora.quotes.sources import open_quotes
from benchmarks.measure import Figure, Group, Size, in_turns
from benchmarks.project import ROOT

ACCOUNT, SPACING_S, STEP_S = "DU1234567", 0.1, 0.1
START, CANCEL, ORDERS, ALL, WHOLE = (
    "python -c pass, and importing ib_async",
    "command to the first cancel's bytes",
    "first order to the last",
    "first paced message to the last order",
    "the whole command",
)
WIRE = "extends: base\nmode: live\nvenue: paper\naccount: {id: env:IB_ACCOUNT}\n"


def measure(size: Size) -> Group:
    """Flatten `size.positions` positions."""
    symbols = tuple(f"A{chr(65 + n // 26)}{chr(65 + n % 26)}" for n in range(size.positions))
    values = in_turns([_start, lambda: _flatten(symbols)], size)
    few = (len(symbols) * SPACING_S,) * len(values[ORDERS])
    many = tuple(3 * each for each in few)
    figures = [
        Figure(START, "s", values[START]),
        Figure(CANCEL, "s", values[CANCEL], values[START]),
        Figure(f"the pacing of {len(symbols)} messages", "s", few),
        Figure(ORDERS, "s", values[ORDERS], few, None, 1.1),
        Figure(f"the pacing of {3 * len(symbols)} messages", "s", many),
        Figure(ALL, "s", values[ALL], many, None, 1.1),
        Figure(WHOLE, "s", values[WHOLE]),
    ]
    return Group(f"flatten {len(symbols)} positions", figures, beside="floor")


def _start() -> Mapping[str, float]:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import ib_async"], check=True)
    return {START: time.perf_counter() - began}


def _flatten(symbols: tuple[str, ...]) -> Mapping[str, float]:
    positions = [{"symbol": symbol, "quantity": 5, "average_cost": 100} for symbol in symbols]
    scenario = build_scenario(
        {"scenario": "leave", "settings": {"wall_clock": True, "positions": positions}}, "the benchmark"
    )
    gateway = open_gateway(open_quotes("dummy:seed=7,gaps_per_hour=0", root=ROOT), symbols, scenario)
    came: list[tuple[str, float]] = []
    around = gateway.faults.around

    def note(client: Any, request: str, *more: Any) -> None:
        came.append((request, time.perf_counter()))
        around(client, request, *more)

    gateway.faults.around = note  # type: ignore[method-assign,assignment]
    with running(gateway) as server, TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "profiles").mkdir()
        (root / "runbooks").mkdir()
        (root / "profiles/base.yaml").write_text((ROOT / "profiles/base.yaml").read_text())
        (root / "profiles/profile.schema.json").write_text((ROOT / "profiles/profile.schema.json").read_text())
        (root / "profiles/wire.yaml").write_text(WIRE)
        address = {"IB_HOST": "127.0.0.1", "IB_PORT": f"{server.port}", "IB_CLIENT_ID": "1", "IB_ACCOUNT": ACCOUNT}
        command = [sys.executable, "-m", "aurora", "flatten", "--profile", "wire", "--minutes", "5"]
        environment = {**os.environ, **address, "BROKER": "ibkr", "PYTHONPATH": str(ROOT)}
        began = time.perf_counter()
        with subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.DEVNULL) as process:
            while process.poll() is None:
                server.call(lambda: gateway.step(STEP_S))
                time.sleep(STEP_S)
        ended = time.perf_counter()
    assert process.returncode == 0, "the account did not end flat"
    at = {name: [when for request, when in came if request == name] for name in ("req_global_cancel", "place_order")}
    asked = [when for request, when in came if request in ("req_contract_details", "req_mkt_data")]
    return {
        CANCEL: at["req_global_cancel"][0] - began,
        ORDERS: at["place_order"][-1] - at["place_order"][0],
        ALL: at["place_order"][-1] - asked[0],
        WHOLE: ended - began,
    }
