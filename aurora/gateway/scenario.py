"""Scenarios: what a gateway is set up with and what goes wrong when, written in YAML."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec

from aurora.engine.document import read_document
from aurora.engine.faults import did_you_mean
from aurora.errors import UsageError
from aurora.gateway.actions import ACTIONS, Action
from aurora.gateway.messages import Out
from aurora.gateway.requests import In
from aurora.gateway.settings import NEWEST_VERSION, SERVER_VERSION, Settings

CONNECT, FILL = "connect", "fill"
EVENTS = frozenset((CONNECT, FILL, *(request.name.lower() for request in In)))
"""What a rule may wait for: a client's start, a fill, or a request."""

MESSAGES = frozenset(message.name.lower() for message in Out)
"""What a rule may lose, delay or repeat."""

_COUNTS = ("times", "copies", "for_s", "bid_size", "ask_size", "max_messages_per_s", "handshake_s", "max_waiting_bytes")


class _Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule as the file has it."""

    do: list[Any]
    at_s: float | None = None
    on: str | None = None
    after: str | None = None
    nth: int = 1
    times: int = 1
    client: int | None = None
    symbol: str | None = None
    wait_s: float = 0.0


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    scenario: str
    seed: int = 7
    about: str = ""
    settings: Settings = Settings()
    rules: list[_Rule] = []


class Rule(msgspec.Struct, frozen=True):
    """When something goes wrong, and what.

    at_s: so long after the gateway's start. event: the request's name, `connect` or `fill`, `moment` says whether the
    actions come before it is handled or after. nth: from which time on; times: how often (0: every time).
    wait_s: how long after the event. client, symbol: only of these.
    """

    actions: tuple[Action, ...]
    at_s: float | None
    event: str
    moment: Literal["on", "after", ""]
    nth: int
    times: int
    client: int | None
    symbol: str | None
    wait_s: float


class Scenario(msgspec.Struct, frozen=True):
    """A scenario: the same one with the same seed, quotes and requests gives the same bytes."""

    name: str = "plain"
    seed: int = 7
    settings: Settings = Settings()
    rules: tuple[Rule, ...] = ()

    def refuse_unlisted(self, symbols: tuple[str, ...]) -> None:
        """Raise UsageError when the scenario names a symbol that is not in `symbols`."""
        named = {each.symbol for each in self.settings.positions}
        named |= {getattr(action, "symbol", None) or symbols[0] for rule in self.rules for action in rule.actions}
        if unlisted := sorted(named - set(symbols)):
            raise _refused(f"The scenario {self.name} names {', '.join(unlisted)}; listed are {', '.join(symbols)}.")


def read_scenario(path: Path) -> Scenario:
    """Read a scenario from a file. Raises UsageError for anything unknown in it."""
    document = read_document(path, str(path))
    if document.faults:
        raise _refused("\n".join(str(fault) for fault in document.faults))
    return build_scenario(document.data, str(path))


def build_scenario(data: object, where: str) -> Scenario:
    """Build a scenario from plain data, as a file has it. Raises UsageError."""
    try:
        file = msgspec.convert(data, _File)
        _refuse_unbounded(file.settings, "settings")
        if not SERVER_VERSION <= file.settings.max_version <= NEWEST_VERSION:
            raise ValueError(f"settings: max_version is {SERVER_VERSION} to {NEWEST_VERSION}")
        rules = [_rule(rule, f"rules[{number}]") for number, rule in enumerate(file.rules)]
    except (msgspec.ValidationError, ValueError) as error:
        raise _refused(f"{where}: {error}") from error
    return Scenario(file.scenario, file.seed, file.settings, tuple(rules))


def _rule(rule: _Rule, where: str) -> Rule:
    whens = [rule.at_s, rule.on, rule.after]
    if sum(when is not None for when in whens) != 1:
        raise ValueError(f"{where} says one of at_s, on and after")
    event = rule.on or rule.after or ""
    if rule.on in (CONNECT, FILL):
        raise ValueError(f"{where}: nothing can be done before {rule.on}; write `after: {rule.on}`")
    if event and event not in EVENTS:
        raise ValueError(
            f"{where} waits for {event!r}, which never happens; {did_you_mean(event, EVENTS)}".rstrip("; ")
        )
    if not rule.do or rule.nth < 1 or rule.times < 0 or rule.wait_s < 0 or (rule.at_s or 0) < 0:
        raise ValueError(f"{where} has nothing to do, or a number below its least")
    actions = tuple(_action(each, f"{where}.do[{number}]") for number, each in enumerate(rule.do))
    moment: Literal["on", "after", ""] = "on" if rule.on else "after" if rule.after else ""
    return Rule(
        actions, rule.at_s, event, moment, rule.nth, rule.times, rule.client, rule.symbol, rule.wait_s
    )  # fmt: skip


def _action(given: object, where: str) -> Action:
    pair = {given: {}} if isinstance(given, str) else given
    if not isinstance(pair, dict) or len(pair) != 1:
        raise ValueError(f"{where} is one action: its name, or its name and what it takes")
    ((name, values),) = pair.items()
    if name not in ACTIONS:
        raise ValueError(f"{where}: there is no action {name!r}; {did_you_mean(str(name), ACTIONS)}".rstrip("; "))
    try:
        action = msgspec.convert(values, ACTIONS[name])
    except msgspec.ValidationError as error:
        raise ValueError(f"{where} ({name}): {error}") from error
    _refuse_unbounded(action, f"{where} ({name})")
    message = getattr(action, "message", None)
    if message is not None and message not in MESSAGES:
        near = did_you_mean(message, MESSAGES)
        raise ValueError(f"{where} ({name}): there is no message {message!r}; {near}".rstrip("; "))
    return action


def _refuse_unbounded(values: object, where: str) -> None:
    for name in values.__struct_fields__:  # type: ignore[attr-defined] # a msgspec.Struct
        value = getattr(values, name)
        if isinstance(value, Decimal | float) and not math.isfinite(value):
            raise ValueError(f"{where}: {name} was {value}, it is a number")
        if name in _COUNTS and isinstance(value, int | float) and value < 0:
            raise ValueError(f"{where}: {name} was {value}, it is at least 0")


def _refused(what: str) -> UsageError:
    return UsageError(
        what, means="the gateway was not started", todo="mend the scenario; docs/gateway.md lists its words"
    )
