from __future__ import annotations

from typing import Any

from aurora.engine.graph import Library, build_plan
from aurora.engine.project import Project
from aurora.testing.reads import Reads


def reads_of(shop: Any) -> Reads:
    """Return what the runbook `day` reads."""
    return Reads(build_plan(Library(Project(shop.root)), "day"))


def test_gates_read_their_own_outputs(shop: Any) -> None:
    """A bare name in a gate is an output of its step; engine names and the item of a foreach are not."""
    shop.book("""
    steps:
      - id: till
        uses: shop.count
        gate: [cash > profile.limit, open, status == 'passed', run.mode == 'none']
      - id: each
        uses: shop.count
        foreach: [1, 2]
        as: number
        with: {till: "{{ number }}"}
        gate: cash == number
    """)
    reads = reads_of(shop)
    assert reads.by_gates("till") == {
        "cash": "the gate 'cash > profile.limit' of till",
        "open": "the gate 'open' of till",
    }
    assert list(reads.by_gates("each")) == ["cash"]
    assert reads.by_others("till") == {}


def test_other_steps_read_too(shop: Any) -> None:
    """`with`, `if`, `foreach` and gates of other steps read outputs, also through a sub-runbook and of items."""
    shop.book("steps: [{id: till, uses: shop.count}]", "opening")
    shop.book("""
    steps:
      - {id: opening, runbook: opening}
      - {id: a, uses: shop.count, gate: steps.opening.till.cash > 0}
      - {id: b, uses: shop.deliver, if: steps.a.open, with: {item: "{{ steps.a.clerk }}"}}
      - {id: c, uses: shop.count, foreach: "{{ steps.a.notes }}", as: note}
      - {id: d, gate: "steps.c.items[0].cash > 1 and steps.b.status == 'passed'"}
    """)
    reads = reads_of(shop)
    assert list(reads.by_others("opening/till")) == ["cash"]
    assert reads.by_others("a") == {
        "open": "the 'if' of b",
        "clerk": "the 'with' of b",
        "notes": "the 'foreach' of c",
    }
    assert list(reads.by_others("c")) == ["cash"]
    assert reads.by_others("b") == {}
