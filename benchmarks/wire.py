"""The adapter on the wire beside the bare client library, on one gateway in another process; and an hour of quotes.

Round trips: an order that can't trade, immediate or cancel, from `place_order` to CANCELLED. Ticks: processor time of
the client's process, so that the gateway, which is the slower one, is not what is measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.measure import Figure, Group, Size, in_turns
from benchmarks.project import ROOT
from benchmarks.ticks import resident_mib

ACCOUNT = "DU1234567"
MANY = tuple(f"S{chr(65 + number)}" for number in range(20))
HOUR_S = 3600
DATA = Path(os.environ.get("AURORA_DATA", ROOT.parent / "shared" / "data"))
P50, P99, TICK = "order round trip, p50", "order round trip, p99", "a tick"
EARLY, LATE, TOOK = "after a tenth of the hour", "at its end", "the hour took"


def measure(size: Size) -> Group:
    """Place `size.steps` orders and take `size.ticks` / 20 ticks, through the adapter and through the bare client."""
    ticks = str(max(size.ticks // 20, 2000))
    with gateway("dummy", MANY) as port:
        values = in_turns(
            [lambda who=who: _client(who, port, str(size.steps), ticks) for who in ("bare", "adapter")],  # type: ignore[misc]
            size,
        )
    figures = [Figure(f"bare client: {name}", unit, values[f"bare {name}"]) for name, unit in _UNITS]
    figures += [Figure(name, unit, values[f"adapter {name}"], values[f"bare {name}"]) for name, unit in _UNITS]
    per_s = {who: 1e6 / statistics.median(values[f"{who} {TICK}"]) for who in ("adapter", "bare")}
    notes = [f"ticks a second of processor time: adapter {per_s['adapter']:,.0f}, bare client {per_s['bare']:,.0f}"]
    return Group("the adapter on the wire", figures, beside="bare", notes=notes)


_UNITS = ((P50, "ms"), (P99, "ms"), (TICK, "µs"))


def measure_hour(size: Size) -> Group:
    """Stream an hour of SPY through the adapter as fast as it goes: recorded where AURORA_DATA is, else generated."""
    lean = DATA / "lean"
    spec, what = (f"replay:{lean}", "recorded") if lean.is_dir() else ("dummy", "generated")
    seconds = HOUR_S if size.ticks >= 1_000_000 else 60
    if not Path("/proc/self/status").exists():
        return Group("an hour of quotes (not measured: no /proc here)", [])

    def hour() -> Mapping[str, float]:
        with gateway(spec, ("SPY",)) as port:
            return _client("hour", port, str(seconds))

    values = in_turns([hour], size)
    figures = [Figure(f"resident {EARLY}", "MiB", values[EARLY])]
    figures.append(Figure(f"resident {LATE}", "MiB", values[LATE], values[EARLY], None, 1.1))
    title = f"{seconds:,} s of {what} quotes through the adapter"
    return Group(title, [*figures, Figure(TOOK, "s", values[TOOK])], beside="early")


@contextmanager
def gateway(spec: str, symbols: tuple[str, ...]) -> Iterator[str]:
    """Run a gateway in a process of its own; give its port."""
    command = [sys.executable, "-m", "benchmarks.wire", "serve", spec, ",".join(symbols)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def _client(*words: str) -> Mapping[str, float]:
    """Return what a client in a process of its own measured."""
    command = [sys.executable, "-m", "benchmarks.wire", *words]
    said = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    values: Mapping[str, float] = json.loads(said.splitlines()[-1])
    return values


# ── In processes of their own ────────────────────────────────────────────────────────────────────────────────────────
async def serve(spec: str, symbols: str) -> None:
    """Run a gateway whose time passes as fast as it can while somebody is subscribed; print its port."""
    from aurora.gateway.faults import open_gateway  # noqa: PLC0415 - the client's process must not load it
    from aurora.gateway.scenario import build_scenario  # noqa: PLC0415 - the same
    from aurora.gateway.server import Server  # noqa: PLC0415 - the same
    from aurora.quotes.sources import open_quotes  # noqa: PLC0415 - the same

    scenario = build_scenario({"scenario": "wire", "settings": {"max_messages_per_s": 1_000_000}}, "the benchmark")
    gateway = open_gateway(open_quotes(spec, root=ROOT), tuple(symbols.split(",")), scenario)
    server = Server(gateway, "127.0.0.1", 0)
    await server.start()
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    while True:
        is_watched = any(session.subscriptions for session in gateway.all_sessions())
        if is_watched:
            gateway.step(0.25)
        await asyncio.sleep(0 if is_watched else 0.005)


def _account(port: int) -> Any:
    from aurora.ibkr.account import Account  # noqa: PLC0415 - the bare client must not pay for it
    from aurora.ibkr.address import Address  # noqa: PLC0415 - the same

    return Account(Address("127.0.0.1", port, 2, ACCOUNT, spacing_s=0))


def adapter(port: int, orders: int, ticks: int) -> dict[str, float]:
    """Measure the adapter."""
    from aurora.market.order import Order, Side  # noqa: PLC0415 - the bare client must not pay for it

    account, taken = _account(port), list[float]()
    broker, now = account.broker(), datetime.now(UTC)
    for number in range(orders):
        order = Order(f"wire-{os.getpid()}-{number}", MANY[0], Side.BUY, 1, Decimal("1.00"), now, Decimal(1))
        began = time.perf_counter()
        broker.place_order(order)
        while (state := broker.order_state(order.ref)) is None or not state.status.is_final:
            pass
        taken.append(time.perf_counter() - began)
    account.quotes().subscribe(MANY)
    time.sleep(0.2)
    meter = _Meter(account.connection.client)
    while meter.count() < ticks:
        time.sleep(0.02)
    found = _figures("adapter", taken, meter.us_each())
    account.close()
    return found


class _Meter:
    """What a message costs this process in processor time: made → count → us_each."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._first, self._began = self._received(), time.process_time()

    def _received(self) -> int:
        return int(self._client.connectionStats().numMsgRecv)

    def count(self) -> int:
        """Return how many messages have come."""
        return self._received() - self._first

    def us_each(self) -> float:
        """Return microseconds a message."""
        return (time.process_time() - self._began) / self.count() * 1e6


async def bare(port: int, orders: int, ticks: int) -> dict[str, float]:
    """Measure the client library by itself, used as its documentation shows."""
    from aurora.ibkr.library import library  # noqa: PLC0415 - whichever is installed

    ib, taken = library().IB(), list[float]()
    await ib.connectAsync("127.0.0.1", port, clientId=1, timeout=10)
    ib.client.MaxRequests = 0
    stocks = [library().Stock(symbol, "SMART", "USD") for symbol in MANY]
    await ib.qualifyContractsAsync(*stocks)
    for number in range(orders):
        order = library().LimitOrder("BUY", 1, 1.0, tif="IOC", account=ACCOUNT, orderRef=f"bare-{os.getpid()}-{number}")
        done = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        trade = ib.placeOrder(stocks[0], order)
        trade.cancelledEvent += lambda _, done=done: done.done() or done.set_result(None)
        await done
        taken.append(time.perf_counter() - began)
    for stock in stocks:
        ib.reqMktData(stock, "", False, False)
    await asyncio.sleep(0.2)
    meter = _Meter(ib.client)
    while meter.count() < ticks:
        await asyncio.sleep(0.02)
    found = _figures("bare", taken, meter.us_each())
    ib.disconnect()
    return found


def hour(port: int, seconds: int) -> dict[str, float]:
    """Take the adapter's quotes until `seconds` have passed at the venue; memory early and late in MiB."""
    account, early = _account(port), 0.0
    broker, source = account.broker(), account.quotes()
    began, begins = time.perf_counter(), broker.server_time()
    source.subscribe(["SPY"])
    while (passed := (broker.server_time() - begins).total_seconds()) < seconds:
        if not early and passed >= seconds / 10:
            early = resident_mib()
        source.poll()
        time.sleep(0.01)
    found = {EARLY: early or resident_mib(), LATE: resident_mib(), TOOK: time.perf_counter() - began}
    account.close()
    return found


def _figures(who: str, taken: list[float], tick_us: float) -> dict[str, float]:
    ordered = sorted(taken)
    p99 = ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)]
    return {f"{who} {P50}": statistics.median(ordered) * 1e3, f"{who} {P99}": p99 * 1e3, f"{who} {TICK}": tick_us}


def main(what: str, *words: str) -> None:
    """Be one of the processes."""
    if what == "serve":
        asyncio.run(serve(*words))
        return
    numbers = [int(word) for word in words]
    if what == "bare":
        found = asyncio.run(bare(*numbers))
    else:
        found = adapter(*numbers) if what == "adapter" else hour(*numbers)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
