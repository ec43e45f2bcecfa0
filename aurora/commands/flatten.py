"""`flatten [--dry-run] [--symbols A,B] [--market]`: bring an account to zero; it needs the broker, and little else."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from functools import partial
from types import FrameType

from aurora.alerts.base import Alert, Priority
from aurora.commands.parser import Invocation
from aurora.commands.person import require_person
from aurora.engine.faults import visible
from aurora.engine.profiles import load_profile
from aurora.engine.project import Project
from aurora.engine.secrets import read_environment
from aurora.errors import UsageError
from aurora.execution.account_exit import AccountExit
from aurora.execution.flatten import LADDER_BPS, exit_order, why_no_price
from aurora.market.order import OrderType, Side
from aurora.quotes.base import OnRequest
from aurora.session.account import account_id, live_book
from aurora.session.services import Services

INTERRUPTED, NOT_FLAT = 7, 3
ALERTS_S = 10.0
QUOTES_COME_S = 3.0


def execute(project: Project, invocation: Invocation) -> int:
    """Flatten, and return 0 when the venue says zero, 3 when it does not, 7 when a person ended it."""
    from aurora.desk import Desk  # noqa: PLC0415 - only what trades builds a desk

    options = invocation.options
    desk = Desk(project.root, load_profile(project.root, options.profile), read_environment(project.root))
    symbols = tuple(filter(None, (each.strip().upper() for each in (options.symbols or "").split(",")))) or None
    if symbols is None and not desk.profile.account.dedicated:
        raise UsageError(
            f"The account of {options.profile} is not Aurora's alone: nothing says what is to be flattened.",
            means="positions and orders of others would be closed; nothing was sent",
            todo="name them: invoke flatten --symbols SPY,TSLA",
        )
    profile = desk.profile
    if options.market and not options.dry_run:
        require_person("Market orders trade at any price; only a person asks for them (--market)")
    _say(f"account {account_id(desk)} · venue {profile.venue} · profile {profile.name}")
    with _Stop() as stop:
        if options.dry_run:
            return _plan(desk, symbols, at_market=options.market)
        return _flatten(desk, symbols, options, stop)


def _flatten(desk: Services, symbols: tuple[str, ...] | None, options: argparse.Namespace, stop: _Stop) -> int:
    alerts = _Alerts(desk)
    done = AccountExit(
        desk.project,
        live_book(desk),
        desk.clock,
        partial(desk.open_account, cancels=symbols is None),
        _say,
        alerts.tell,
        symbols=symbols,
        patience_s=None if options.minutes is None else options.minutes * 60.0,
        is_stopping=lambda: stop.asked,
        at_market=options.market,
    ).run()
    for decision in done.decisions:
        order = decision.order
        price = f"limit {order.limit}" if order.type is OrderType.LIMIT else "at market"
        _say(f"{order.side} {order.quantity} {order.symbol} {price} ({order.ref}): {decision.reason}")
    if done.flat:
        _say(f"✔ flat: {'the venue holds' if symbols is None else 'there is'} no position and no working order"
             f"{'' if symbols is None else ' in ' + ', '.join(symbols)}")  # fmt: skip
        return 0
    _say(f"✘ NOT FLAT: {done.reason}")
    _say("  look in TWS, and flatten again: invoke flatten")
    alerts.tell(f"NOT FLAT: {done.reason}")
    alerts.wait()
    return INTERRUPTED if stop.asked else NOT_FLAT


def _plan(desk: Services, symbols: tuple[str, ...] | None, *, at_market: bool) -> int:
    """Say what a flatten would cancel and send now; nothing is sent."""
    with contextlib.ExitStack() as stack:
        broker, source = desk.open_account(stack)
        working = [state for state in broker.open_orders() if symbols is None or state.order.symbol in symbols]
        held = [each for each in broker.positions() if each.quantity and (symbols is None or each.symbol in symbols)]
        for state in working:
            order = state.order
            _say(f"would cancel {order.side} {state.unfilled} {order.symbol} limit {order.limit} ({order.ref})")
        if held and isinstance(source, OnRequest):
            source.want([each.symbol for each in held])
            source.clock.sleep(QUOTES_COME_S)
        quotes = source.poll()
        for position in held:
            quote, now = quotes.get(position.symbol), source.clock.now()
            why = why_no_price(quote, now)
            if at_market and not (quote is not None and quote.halted):
                side = Side.SELL if position.quantity > 0 else Side.BUY
                _say(f"would send {side} {abs(position.quantity)} {position.symbol} at market, immediate or cancel")
                continue
            if why or quote is None:
                _say(f"would wait with {position.quantity} {position.symbol}: {why}")
                continue
            order = exit_order("dry-run", position.quantity, quote, now, LADDER_BPS[0])
            _say(f"would send {order.side} {order.quantity} {order.symbol} limit {order.limit}, immediate or cancel")
        if not working and not held:
            _say("nothing would be sent: there is no position and no working order")
    return 0


class _Stop(contextlib.AbstractContextManager["_Stop"]):
    """Hears Ctrl-C: the first asks the flatten to end, the second ends it. A terminal that goes away ends nothing."""

    def __init__(self) -> None:
        self.asked = False
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> _Stop:
        for number, handler in ((signal.SIGINT, self._hear), (signal.SIGTERM, self._hear),
                                (signal.SIGHUP, signal.SIG_IGN)):  # fmt: skip
            self._stack.callback(signal.signal, number, signal.signal(number, handler))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


class _Alerts:
    """Tells the trader, beside the flatten: nobody's network stands between an account and its exit."""

    def __init__(self, desk: Services) -> None:
        self._desk = desk
        self._threads: list[threading.Thread] = []

    def tell(self, text: str) -> None:
        """Say it here, and send it."""
        _say(f"! {text}")
        now = self._desk.clock.now()
        # trading rule 22: an alarm each minute, also where it says the same as the one before
        alert = Alert("Flatten", text, Priority.URGENT, ("flatten",), now, key=f"{text} {now:%H:%M}")
        self._threads.append(threading.Thread(target=self._desk.notify, args=(alert,), daemon=True))
        self._threads[-1].start()

    def wait(self) -> None:
        """Give what was sent last a moment to arrive."""
        for thread in self._threads:
            thread.join(ALERTS_S)


def _say(line: str) -> None:
    """Print a line; where nobody reads it any more, the flatten goes on."""
    try:
        sys.stdout.write(f"flatten: {visible(line)}\n")
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
