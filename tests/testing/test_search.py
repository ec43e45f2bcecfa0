from __future__ import annotations

import enum
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

import pytest

from aurora.engine.expressions import parse_expression
from aurora.engine.functions import StepFunction
from aurora.engine.registry import step, step_info
from aurora.engine.scopes import decide
from aurora.engine.spec import Gate
from aurora.engine.values import decode, exposed
from aurora.testing.filling import complete
from aurora.testing.outcomes import RehearsalError
from aurora.testing.search import Search


class Colour(enum.StrEnum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True)
class Slo:
    p95_ms: Decimal


@dataclass(frozen=True)
class Out:
    flat: bool
    count: int
    price: Decimal
    ratio: float
    text: str
    names: list[str]
    mode: Literal["paper", "live"]
    colour: Colour
    maybe: Decimal | None
    slo: Slo
    unread: str = field(default="kept")


@step()
def act() -> Out:  # type: ignore[empty-body]
    """Do nothing."""


INFO = step_info(act)
assert INFO is not None
FUNCTION = StepFunction("shop.act", act, INFO, {}, False, Out)
OTHERS = exposed({"profile": {"limit": Decimal("2.5"), "cap": 400}, "params": {"names": ["SPY", "TSLA"]}, "run": {}})
SINGLE = [
    "flat",
    "not flat",
    "count == 0",
    "count > 3",
    "count <= profile.cap",
    "count > profile.cap",
    "price < profile.limit",
    "price >= profile.limit",
    "price > 100000",
    "price < 0",
    "ratio > 0.5",
    "text == 'ok'",
    "text != ''",
    "names == []",
    "names == params.names",
    "names | length >= 2",
    "'SPY' in names",
    "mode == 'live'",
    "colour == 'green'",
    "maybe == none",
    "maybe != none and maybe > 1",
    "slo.p95_ms < profile.limit",
    "count + 1 == 3",
    "price * 2 > count",
]


def search(*checks: str, fixed: dict[str, Any] | None = None) -> Search:
    """Return a search over gates; those that end with `(advisory)` are that."""
    gates = [
        Gate(parse_expression(text.removesuffix(" (advisory)")), "advisory" if text.endswith(")") else "blocking")
        for text in checks
    ]
    start = complete(FUNCTION, "a", fixed or {}, {})
    return Search(FUNCTION, "a", gates, dict(OTHERS), start, frozenset(fixed or {}))


def verdicts(outputs: Any, *checks: str) -> list[str]:
    """Return what the engine's own judge says of gates."""
    own = exposed(decode(outputs, Out))
    gates = [Gate(parse_expression(text.removesuffix(" (advisory)"))) for text in checks]
    return [decide(gate, {**own, **OTHERS}, dry_run=False)["verdict"] for gate in gates]


@pytest.mark.parametrize("check", SINGLE)
def test_each_kind_of_gate_is_passed_and_turned_red(check: str) -> None:
    """For the gates that runbooks are made of there are outputs both ways, and the engine's own judge agrees."""
    assert verdicts(search(check).passing(), check) == ["pass"]
    assert verdicts(search(check).red(None), check) == ["red"]


def test_one_gate_is_red_and_the_others_pass() -> None:
    """Red means that gate alone, named by text or number; without a name the first that blocks."""
    checks = ("price < 100 (advisory)", "flat", "price > 10", "names == []")
    assert verdicts(search(*checks).red("price > 10"), *checks) == ["pass", "pass", "red", "pass"]
    assert verdicts(search(*checks).red(0), *checks) == ["red", "pass", "pass", "pass"]
    assert verdicts(search(*checks).red(None), *checks) == ["pass", "red", "pass", "pass"]


def test_gates_that_share_an_output_are_solved_together() -> None:
    """A chain of gates over the same outputs has one answer for all of them."""
    checks = ("count > 3", "count < 12", "price > count", "flat")
    assert verdicts(search(*checks).passing(), *checks) == ["pass"] * 4
    assert verdicts(search(*checks).red(2), *checks) == ["pass", "pass", "red", "pass"]


def test_what_is_fixed_and_what_is_not_read_stays() -> None:
    """Only outputs that gates read are tried, and never one that the mock says."""
    found = search("price > count", fixed={"count": 7, "text": "mine"}).passing()
    assert found is not None
    assert (found["count"], found["text"], found["unread"]) == (7, "mine", "kept")
    assert Decimal(found["price"]) > 7


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda: search("flat", fixed={"flat": False}).passing(), r"No outputs of 'a' were found for: flat \(pass\)"),
        (lambda: search("flat and not flat").passing(), "No outputs of 'a'"),
        (lambda: search("flat").red("flt"), r"no gate 'flt'; its gates: \['flat'\]"),
        (lambda: search("flat").red(1), "no gate 1"),
        (lambda: search("flat (advisory)").red(None), "no blocking gate"),
        (lambda: search().red(None), "its gates: none"),
        (lambda: search("run.weekday == 1").passing(), r"run.weekday == 1 \(pass\)"),
    ],
)
def test_what_is_not_found_is_said(act: Any, said: str) -> None:
    """A search that finds nothing ends the rehearsal and asks for outputs by name."""
    with pytest.raises(RehearsalError, match=said):
        act()


def test_a_step_without_gates_keeps_what_it_has() -> None:
    """Without gates there is nothing to look for."""
    assert search(fixed={"count": 4}).passing() == complete(FUNCTION, "a", {"count": 4}, {})
