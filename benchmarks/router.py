"""The router: from a decision to its bytes on the socket, beside the bare client library's `placeOrder` there.

Aurora's way checks the order against every limit, syncs its intent to disk, and hands it to the connection's thread;
the bare client writes it. The gateway, in a process of its own, is the same for both.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import Figure, Group, Size, in_turns
from benchmarks.project import ROOT
from benchmarks.wire import ACCOUNT, MANY, gateway

BARE, SYNC, ROUTED = "bare client: placeOrder", "one line of a journal, synced", "decision to bytes on the socket"
BUDGET = 1.25


def measure(size: Size) -> Group:
    """Send `size.steps` orders each way."""
    with gateway("dummy", MANY) as port:
        cases: list[Callable[[], Mapping[str, float]]] = [
            lambda who=who: _sender(who, port, str(size.steps), str(size.folder))  # type: ignore[misc]
            for who in ("bare", "routed")
        ]
        values = in_turns(cases, size)
    figures = [
        Figure(BARE, "ms", values[BARE]),
        Figure(SYNC, "ms", values[SYNC], values[BARE]),
        Figure(ROUTED, "ms", values[ROUTED], values[BARE], None, BUDGET),
    ]
    return Group("the router", figures, beside="bare")


def _sender(*words: str) -> Mapping[str, float]:
    command = [sys.executable, "-m", "benchmarks.router", *words]
    said = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    values: Mapping[str, float] = json.loads(said.splitlines()[-1])
    return values


# ── In processes of their own ────────────────────────────────────────────────────────────────────────────────────────
def routed(port: int, orders: int, parent: str) -> dict[str, float]:
    """Send orders through the router and the adapter; the mean of a synced line of the same journal beside it."""
    from aurora.clock import SystemClock  # noqa: PLC0415 - the bare client must not pay for it
    from aurora.execution.order_journal import Book, OrderJournal  # noqa: PLC0415 - the same
    from aurora.execution.router import Router  # noqa: PLC0415 - the same
    from aurora.ibkr.account import Account  # noqa: PLC0415 - the same
    from aurora.ibkr.address import Address  # noqa: PLC0415 - the same
    from aurora.market.mode import Mode  # noqa: PLC0415 - the same
    from aurora.market.order import Order, Side  # noqa: PLC0415 - the same
    from aurora.market.quote import Quote  # noqa: PLC0415 - the same
    from aurora.risk.kill_switch import KillSwitch  # noqa: PLC0415 - the same
    from aurora.risk.limits import OrderLimits  # noqa: PLC0415 - the same
    from aurora.risk.tripwires import TripwireLimits  # noqa: PLC0415 - the same

    account, taken, synced = Account(Address("127.0.0.1", port, 2, ACCOUNT, spacing_s=0)), list[float](), list[float]()
    broker, clock, many = account.broker(), SystemClock(), Decimal(10**9)
    client, written = account.connection.client, list[float]()
    place = client.placeOrder

    def place_and_note(*given: Any) -> None:
        place(*given)
        written.append(time.perf_counter())

    client.placeOrder = place_and_note
    with TemporaryDirectory(dir=parent) as folder:
        book = Book("live", "paper", ACCOUNT, datetime.now(UTC).date())
        journal = OrderJournal.create(Path(folder) / "orders.jsonl", book, clock)
        router = Router(
            mode=Mode.LIVE, broker=broker, clock=clock, kill_switch=KillSwitch(Path(folder)), lockout=lambda: "",
            tripwires=TripwireLimits(Decimal("1.5"), Decimal(50)), objection="", orders=journal,
            limits=OrderLimits(many, many, many, Decimal(10), many, many, many, 10**9, 10**9),
        )  # fmt: skip
        for number in range(orders):
            now = clock.now()
            order = Order(f"routed-{os.getpid()}-{number}", MANY[0], Side.BUY, 1, Decimal("1.00"), now, Decimal(1))
            quote = Quote(MANY[0], now, Decimal("0.999"), Decimal("1.00"), 100, 100)
            began = time.perf_counter()
            decision = router.route(order, quote)
            taken.append(written[-1] - began)
            assert decision.sent, decision.reason
            while (state := broker.order_state(order.ref)) is None or not state.status.is_final:
                time.sleep(0)
            router.settle()
            began = time.perf_counter()
            journal._write("high_water", {"pnl_usd": Decimal(0), "unlocked": ""}, must=True)
            synced.append(time.perf_counter() - began)
        journal.close()
    account.close()
    return {ROUTED: statistics.median(taken) * 1e3, SYNC: statistics.median(synced) * 1e3}


async def bare(port: int, orders: int) -> dict[str, float]:
    """Send orders by the client library alone; `placeOrder` returns when it has written them."""
    from aurora.ibkr.library import library  # noqa: PLC0415 - whichever is installed

    ib, taken = library().IB(), list[float]()
    await ib.connectAsync("127.0.0.1", port, clientId=1, timeout=10)
    ib.client.MaxRequests = 0
    (stock,) = await ib.qualifyContractsAsync(library().Stock(MANY[0], "SMART", "USD"))
    for number in range(orders):
        ref = f"bare-{os.getpid()}-{number}"
        order: Any = library().LimitOrder("BUY", 1, 1.0, tif="IOC", account=ACCOUNT, orderRef=ref)
        done = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        trade = ib.placeOrder(stock, order)
        taken.append(time.perf_counter() - began)
        trade.cancelledEvent += lambda _, done=done: done.done() or done.set_result(None)
        await done
    ib.disconnect()
    return {BARE: statistics.median(taken) * 1e3}


if __name__ == "__main__":
    _who, _port, _orders, _parent = sys.argv[1:]
    if _who == "routed":
        found = routed(int(_port), int(_orders), _parent)
    else:
        found = asyncio.run(bare(int(_port), int(_orders)))
    sys.stdout.write(json.dumps(found) + "\n")
