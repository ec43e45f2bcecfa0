"""Writes what a session saw and did: `session.jsonl`, one JSON object a line, replayable as a quote source.

    session.opened   schema, session, mode, venue, quotes, realtime, symbols, model, settings, profile, versions
    poll             n, step (null while warming up), due, at, quotes, since (quotes seen between this poll and the one
                     before), holds, notes, features, weights, decisions, orders (that ended), fills, positions,
                     cash, anomalies and fallbacks so far, phase_times_ms (`record`: of the poll before)
    flatten          at, since, decisions, orders, fills, positions, cash, flat, reason
    session.closed   at, result

Money and sizes in decimal are text; times are ISO 8601 in UTC. The schema of a line: `invoke schema session`.
"""

from __future__ import annotations

import errno
import json
import os
import platform
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from aurora import __version__
from aurora.clock import iso
from aurora.errors import RecordError
from aurora.execution.router import Decision
from aurora.market.order import Fill, OrderState
from aurora.quotes.recorded import SCHEMA, quote_as_json
from aurora.session.watched import Seen


class Recorder:
    """One session's record; each line is with the operating system before the session goes on.

    After the disk has refused a line, `broken` says so and later lines are dropped: the way out of a position must not
    depend on the disk.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.broken: RecordError | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("xb", buffering=0)
        except OSError as error:
            raise RecordError(
                f"The session's record can't be opened: {path}: {error.strerror}.",
                means="nothing was traded: a session without a record is none",
                todo="mend the folder (permissions, space), or remove what is in the way",
            ) from error

    def open_session(self, header: Mapping[str, Any]) -> None:
        """Write the first line."""
        versions = {"aurora": __version__, "python": platform.python_version()}
        self.write("session.opened", schema=SCHEMA, **header, versions=versions)

    def write(self, type_: str, **data: Any) -> None:
        """Append one line. Raises RecordError the first time that the disk refuses, and drops lines from then on."""
        if self.broken is not None:
            return
        try:
            line = json.dumps({"type": type_, **data}, default=_plain, allow_nan=False, separators=(",", ":"))
            data_bytes = line.encode() + b"\n"
            if self._file.write(data_bytes) != len(data_bytes):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self.broken = RecordError(
                f"The disk refused a line of the session's record: {self.path}: {error.strerror}.",
                means="the session stops and flattens; from here on it is not recorded",
                todo="make room or mend the disk; then reconcile before the next session",
            )
            raise self.broken from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def seen_as_json(seen: list[Seen]) -> list[dict[str, Any]]:
    """Return quotes seen between polls as JSON data."""
    return [{"at": iso(at), "symbol": symbol, "quote": quote_as_json(quote)} for at, symbol, quote in seen]


def decision_as_json(decision: Decision) -> dict[str, Any]:
    """Return a router's decision as JSON data, its order in it."""
    order = decision.order
    return {
        "ref": order.ref,
        "symbol": order.symbol,
        "side": order.side,
        "quantity": order.quantity,
        "limit": order.limit,
        "decided": iso(order.decided),
        "decision_mid": order.decision_mid,
        "opens": decision.opens,
        "stage": decision.stage,
        "reason": decision.reason,
    }


def order_as_json(state: OrderState) -> dict[str, Any]:
    """Return what became of an order as JSON data."""
    return {"ref": state.order.ref, "status": state.status, "filled": state.filled, "reason": state.reason}


def fill_as_json(fill: Fill) -> dict[str, Any]:
    """Return an execution as JSON data."""
    return {
        "ref": fill.ref,
        "symbol": fill.symbol,
        "side": fill.side,
        "quantity": fill.quantity,
        "price": fill.price,
        "fee": fill.fee,
        "at": iso(fill.at),
    }


def _plain(value: object) -> Any:
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} can't be recorded")
        return str(value)
    if isinstance(value, datetime):
        return iso(value)
    raise TypeError(f"a {type(value).__name__} can't be recorded")
