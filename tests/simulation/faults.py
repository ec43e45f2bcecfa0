"""What goes wrong in a simulated day, drawn from its seed: at the venue, on the wire, and on the desk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

Rule = dict[str, Any]

TOLD = ("open_order", "order_status", "execution", "commission_report", "position")
REJECTS = (
    (201, "Order rejected - reason:test"),
    (321, "Error validating request.-'bW' : cause - test"),
)


def _message(random: Random) -> str:
    return "position" if random.random() < 0.3 else random.choice(TOLD)


def _when(random: Random, lasts_s: float) -> Rule:
    """Return when a rule acts: at some time of the day, or at an order."""
    if random.random() < 0.5:
        return {"at_s": round(random.uniform(5, lasts_s), 2)}
    return {random.choice(("on", "after")): "place_order", "nth": random.randint(1, 15)}


def _lost(random: Random) -> list[Any]:
    return [{"drop": {"message": _message(random), "times": random.randint(1, 3)}}]


def _late(random: Random) -> list[Any]:
    by_s = round(random.choice((0.2, 2.0, 8.0, 20.0)) * random.uniform(0.5, 1.5), 2)
    return [{"delay": {"message": _message(random), "by_s": by_s, "times": random.randint(1, 4)}}]


def _twice(random: Random) -> list[Any]:
    return [{"repeat": {"message": _message(random), "copies": random.randint(1, 3), "times": random.randint(1, 3)}}]


def _link(random: Random) -> list[Any]:
    return [{"link": {"state": random.choice(("down", "lost", "kept"))}}]


def _halted(random: Random) -> list[Any]:
    return [{"quote": {"symbol": random.choice(("SPY", "TSLA")), "halted": True, "for_s": random.uniform(1, 30)}}]


def _one_sided(random: Random) -> list[Any]:
    side = random.choice(("bid", "ask"))
    return [{"quote": {"symbol": random.choice(("SPY", "TSLA")), side: None, "for_s": random.uniform(1, 20)}}]


def _thin(random: Random) -> list[Any]:
    sizes = {"bid_size": random.choice((0, 1, 3)), "ask_size": random.choice((0, 1, 3))}
    return [{"quote": {"symbol": random.choice(("SPY", "TSLA")), **sizes, "for_s": random.uniform(5, 60)}}]


def _farm(random: Random) -> list[Any]:
    return [{"farm": {"state": random.choice(("broken", "ok"))}}]


def _of_a_person(random: Random) -> list[Any]:
    """Return an order that somebody makes in TWS, too low to trade."""
    order = {"symbol": random.choice(("SPY", "TSLA")), "side": "BUY", "quantity": random.randint(1, 9), "limit": 5}
    return [{"order": order}]


FAULTS: tuple[Callable[[Random], list[Any]], ...] = (
    _lost,
    _late,
    _twice,
    _link,
    _halted,
    _one_sided,
    _thin,
    _farm,
    lambda random: ["reset"],
    lambda random: ["half_open"],
    _of_a_person,
    lambda random: [{"restart": {"for_s": round(random.uniform(0.5, 20), 2)}}],
    lambda random: [{"frames": {"size": random.randint(1, 40)}}],
    lambda random: [{"correct": {"by": "0.01"}}],
    lambda random: [{"notice": {"code": 202, "text": "Order Canceled - reason:", "to": "order"}}],
    lambda random: [{"freeze": {"on": random.random() < 0.5}}],
    lambda random: [{"next_id": {"id": random.randint(1, 500)}}],
)
"""Each returns what a rule does."""


def _at_an_order(random: Random) -> Rule:
    """Return a rule about the request for an order itself: refused, never answered, lost with its line, late."""
    code, text = random.choice(REJECTS)
    what: list[Any] = random.choice(
        (
            [{"reject": {"code": code, "text": text}}],
            ["ignore"],
            ["ignore", "reset"],
            [{"hold": {"for_s": round(random.uniform(0.1, 6), 2)}}],
        )
    )
    return {"on": "place_order", "nth": random.randint(1, 15), "do": what}


def draw_rules(random: Random, lasts_s: float) -> list[Rule]:
    """Return up to six rules for a day of `lasts_s` seconds; what breaks the link mends it, some time later."""
    rules: list[Rule] = []
    for _ in range(random.randint(0, 8)):
        if random.random() < 0.35:
            rules.append(_at_an_order(random))
            continue
        rule = {**_when(random, lasts_s), "do": random.choice(FAULTS)(random)}
        rules.append(rule)
        if rule["do"] == [{"link": {"state": "down"}}]:
            state = random.choice(("lost", "kept"))
            mends = {**rule, "do": [{"link": {"state": state}}]}
            after_s = round(random.uniform(0.5, 45), 2)
            rules.append({**mends, **({"at_s": rule["at_s"] + after_s} if "at_s" in rule else {"wait_s": after_s})})
    return rules


@dataclass(frozen=True)
class Fate:
    """What happens to one session on the desk itself, each at so many virtual seconds after its start; 0 is never.

    kill_at_order: the flag is set `kill_after_s` after so many orders were meant: the last one's bytes may wait then.
    dies_at: at which of its acts (lines of the order journal, calls of the venue) the process is killed; 0 is never.
    dies_before: whether the act is not done any more.
    """

    steps: int
    kill_s: float = 0.0
    kill_at_order: int = 0
    kill_after_s: float = 0.0
    stop_s: float = 0.0
    clock_s: float = 0.0
    clock_by_s: float = 0.0
    dies_at: int = 0
    dies_before: bool = False
    odd_answer_at: int = 0


def draw_fate(random: Random) -> Fate:
    """Return a session's fate."""
    steps, some = random.randint(5, 40), random.uniform(8, 45)
    drawn = random.random()
    if drawn < 0.25:
        return Fate(steps, dies_at=random.randint(1, 90), dies_before=random.random() < 0.5)
    if drawn < 0.45:
        if random.random() < 0.5:
            return Fate(steps, kill_s=some)
        return Fate(steps, kill_at_order=random.randint(1, 12), kill_after_s=random.uniform(0, 0.15))
    if drawn < 0.55:
        return Fate(steps, stop_s=some)
    if drawn < 0.65:
        return Fate(steps, clock_s=some, clock_by_s=random.choice((-3600.0, -5.0, -1.0, 1.0, 5.0, 90.0)))
    if drawn < 0.75:
        return Fate(steps, odd_answer_at=random.randint(1, 30))
    return Fate(steps)
