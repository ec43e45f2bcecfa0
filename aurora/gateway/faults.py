"""Runs a scenario: counts events, fires the rules that are due, and bends messages on their way."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from aurora.gateway.bends import Bend
from aurora.gateway.gateway import Gateway
from aurora.gateway.messages import Message
from aurora.gateway.moment import Moment
from aurora.gateway.orders import Execution
from aurora.gateway.scenario import CONNECT, FILL, Rule, Scenario
from aurora.gateway.session import Session
from aurora.quotes.base import QuoteSource

_ORDER_REQUESTS = {"place_order": (0, 2), "cancel_order": (1, None)}
"""Where a request says its order id and symbol."""

_ORDER_ID = re.compile(r"[0-9]{1,10}")


class Faults:
    """A scenario at work on one gateway."""

    def __init__(self, scenario: Scenario, gateway: Gateway) -> None:
        self._bends: list[Bend] = []
        self._gateway = gateway
        self._seen = [0] * len(scenario.rules)
        self._rules = scenario.rules
        self._acting: list[Rule] = []
        gateway.faults = self
        for rule in scenario.rules:
            if rule.at_s is not None:
                gateway.timers.after(rule.at_s, partial(self._act, rule, Moment(gateway, self._bends)))

    def filter(self, session: Session, message: Message) -> None:
        """Send a message as the first bend that claims it has it, or as it is."""
        bend = next((bend for bend in self._bends if bend.claims(session, message)), None)
        if bend is None:
            session.transmit(message)
        elif bend.delay_s:
            self._gateway.timers.after(bend.delay_s, lambda: session.transmit(message))
        elif not bend.drop:
            for _ in range(1 + bend.copies):
                session.transmit(message)

    def around(self, session: Session, request: str, values: list[str], handle: Callable[[], None]) -> None:
        """Handle a request with the rules that fire before it and after it."""
        moment = Moment(self._gateway, self._bends, session, handle=handle)
        if request in _ORDER_REQUESTS:
            place, symbol = _ORDER_REQUESTS[request]
            named = values[place] if len(values) > place else ""
            moment.order_id = int(named) if _ORDER_ID.fullmatch(named) else 0
            moment.symbol = values[symbol] if symbol is not None and len(values) > symbol else ""
            moment.order_of = lambda: self._gateway.venue.find(session.client_id, moment.order_id)
        self._fire("on", request, moment)
        if not moment.taken:
            handle()
        self._fire("after", request, moment)

    def on_connect(self, session: Session) -> None:
        """Fire the rules that wait for a client."""
        self._fire("after", CONNECT, Moment(self._gateway, self._bends, session))

    def on_fill(self, fill: Execution) -> None:
        """Fire the rules that wait for a fill."""
        order = fill.order
        session = self._gateway.sessions.get(order.client_id)
        moment = Moment(self._gateway, self._bends, session, order.order_id, order.listing.symbol, lambda: order)
        self._fire("after", FILL, moment)

    def _fire(self, when: str, event: str, moment: Moment) -> None:
        for number, rule in enumerate(self._rules):
            if (rule.event, rule.moment) != (event, when) or not self._concerns(rule, moment):
                continue
            self._seen[number] += 1
            past = self._seen[number] - rule.nth
            if past < 0 or (rule.times and past >= rule.times):
                continue
            if rule.wait_s:
                self._gateway.timers.after(rule.wait_s, partial(self._act, rule, moment))
            else:
                self._act(rule, moment)

    @staticmethod
    def _concerns(rule: Rule, moment: Moment) -> bool:
        client = moment.session.client_id if moment.session else None
        return rule.client in (None, client) and rule.symbol in (None, moment.symbol)

    def _act(self, rule: Rule, moment: Moment) -> None:
        if rule in self._acting:
            return  # what a rule does is no event for the same rule
        self._acting.append(rule)
        try:
            for action in rule.actions:
                action.act(moment)
        finally:
            self._acting.remove(rule)


def open_gateway(source: QuoteSource, symbols: tuple[str, ...], scenario: Scenario) -> Gateway:
    """Return a gateway on `source`'s quotes of `symbols`, on which `scenario` happens.

    Raises UsageError when the scenario names a symbol that is not listed.
    """
    scenario.refuse_unlisted(symbols)
    gateway = Gateway(source, symbols, scenario.settings, scenario.seed)
    Faults(scenario, gateway)
    return gateway
