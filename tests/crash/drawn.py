"""Random runbooks whose steps do what is written in them, as files of a project."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.engine.kit import Lab

STEPS = '''
"""Steps that do as they are told. A call is a line in effects.txt, and so is what it did, if it did anything."""

from dataclasses import dataclass
from aurora.engine.context import Context
from aurora.engine.registry import Verdict, step
from steps.lab import act, acts

@dataclass(frozen=True)
class Ok:
    ok: bool

def do(context: Context, fails: bool) -> None:
    act(context, f"{context.token} call")
    if fails:
        raise ConnectionError("as told")
    act(context, f"{context.token} did")

def look(context: Context, ok: bool, fails: bool) -> Verdict:
    done = f"{context.token} did" in acts(context)
    return Verdict("done", Ok(ok)) if done else Verdict("not_done")

def shrug(context: Context, fails: bool) -> Verdict:
    return Verdict("unknown", None, "the venue does not say")

@step(repeat="safe")
def work(context: Context, ok: bool, fails: int) -> Ok:
    """Fail so many attempts; one that a kill cut short counts as one of them, as it does for `retry`."""
    do(context, context.attempt <= fails)
    return Ok(ok)

@step(verify=look)
def send(context: Context, ok: bool, fails: bool) -> Ok:
    do(context, fails)
    return Ok(ok)

@step(verify=shrug)
def guess(context: Context, fails: bool) -> None:
    do(context, fails)

@step()
def tell(context: Context, fails: bool) -> None:
    do(context, fails)
'''
ITEMS = 3
TRIES = 3
ASKED = frozenset(["drawn.guess", "drawn.tell"])
"""Functions that a person is asked about after a kill: nothing else knows what they did."""
KINDS = {
    "work": ("pass", "pass", "red", "warn", "broken", "retry"),
    "send": ("pass", "pass", "red", "warn", "broken"),
    "guess": ("pass", "broken"),
    "tell": ("pass", "broken"),
    "each": ("pass", "pass", "red", "broken"),
    "confirm": ("pass", "declined"),
    "gate": ("pass", "red", "warn"),
}


@dataclass(frozen=True)
class Deed:
    """One drawn step. `does` is how it ends when nothing keeps it from it; `when` is its `if`: no, or a step passed."""

    id: str
    kind: str
    does: str = "pass"
    needs: tuple[str, ...] | None = None
    when: str = ""
    on_failure: str = "abort"
    book: str = ""

    def entry(self) -> dict[str, Any]:
        """Return the step as a runbook has it."""
        entry: dict[str, Any] = {"id": self.id, **getattr(self, f"_{self.kind}")()}
        if self.needs is not None:
            entry["needs"] = list(self.needs)
        if self.when:
            entry["if"] = "1 == 2" if self.when == "no" else f"steps.{self.when}.status == 'passed'"
        if self.on_failure != "abort":
            entry["on_failure"] = "continue" if self.on_failure == "continue" else {"runbook": self.on_failure}
        return entry

    def _work(self) -> dict[str, Any]:
        fails = {"broken": 99, "retry": TRIES - 1}.get(self.does, 0)
        retry = {"max_attempts": TRIES, "delay": "1ms"}
        return {"uses": "drawn.work", "with": {"ok": self._ok, "fails": fails}, "retry": retry, "gate": [self._check]}

    def _send(self) -> dict[str, Any]:
        return {"uses": "drawn.send", "with": {"ok": self._ok, "fails": self._breaks}, "gate": [self._check]}

    def _guess(self) -> dict[str, Any]:
        return {"uses": "drawn.guess", "with": {"fails": self._breaks}}

    def _tell(self) -> dict[str, Any]:
        return {"uses": "drawn.tell", "with": {"fails": self._breaks}}

    def _each(self) -> dict[str, Any]:
        given = {"ok": True, "fails": False}
        if self.does in ("red", "broken"):
            name, test = ("ok", "!=") if self.does == "red" else ("fails", "==")
            given[name] = "{{ item " + test + " 1 }}"  # type: ignore[assignment]
        return {"uses": "drawn.send", "foreach": list(range(ITEMS)), "with": given, "gate": "ok"}

    def _confirm(self) -> dict[str, Any]:
        return {"confirm": "Sure?"}

    def _gate(self) -> dict[str, Any]:
        return {"gate": [{**self._check, "check": "1 == 1" if self._ok else "1 == 2"}]}

    def _runbook(self) -> dict[str, Any]:
        return {"runbook": self.book}

    @property
    def _ok(self) -> bool:
        return self.does not in ("red", "warn")

    @property
    def _breaks(self) -> bool:
        return self.does == "broken"

    @property
    def _check(self) -> dict[str, Any]:
        return {"check": "ok", "severity": "advisory" if self.does == "warn" else "blocking"}


@dataclass(frozen=True)
class Book:
    """One drawn runbook: its steps and those of its `finally`."""

    steps: tuple[Deed, ...]
    ends: tuple[Deed, ...] = ()
    red_exit: int | None = None

    def entry(self, name: str) -> dict[str, Any]:
        """Return the runbook as its file has it."""
        ends = {"finally": [deed.entry() for deed in self.ends]} if self.ends else {}
        red = {"red_exit": self.red_exit} if self.red_exit else {}
        return {"runbook": name, **red, "steps": [deed.entry() for deed in self.steps], **ends}


@dataclass(frozen=True)
class Drawn:
    """Runbooks by name; `book` runs those below it."""

    books: Mapping[str, Book] = field(repr=False)

    def __repr__(self) -> str:
        return "\n" + "\n".join(json.dumps(book.entry(name)) for name, book in self.books.items())

    @property
    def in_a_row(self) -> bool:
        """Return whether nothing runs beside anything else, so that there is one end only."""
        return all(deed.needs is None for book in self.books.values() for deed in (*book.steps, *book.ends))

    def walk(self, name: str = "book", prefix: str = "") -> Iterator[tuple[str, Deed]]:
        """Yield each step with its path id, sub-runbooks and failure paths inlined."""
        for deed in (*self.books[name].steps, *self.books[name].ends):
            yield prefix + deed.id, deed
            if deed.kind == "runbook":
                yield from self.walk(deed.book, f"{prefix}{deed.id}/")
            if deed.on_failure in self.books:
                yield from self.walk(deed.on_failure, f"{prefix}{deed.id}/on_failure/")

    def write(self, root: Path) -> Path:
        """Make the project."""
        lab = Lab(root)
        lab.steps("drawn", STEPS)
        for name, book in self.books.items():
            lab.write(f"runbooks/{name}.yaml", json.dumps(book.entry(name)))
        answers = {path: "yes" if deed.does == "pass" else "no" for path, deed in self.walk() if deed.kind == "confirm"}
        lab.write("answers.yaml", json.dumps(answers))
        return root


@st.composite
def deeds(draw: st.DrawFn, prefix: str, below: tuple[str, ...], shape: str, most: int) -> tuple[Deed, ...]:
    """Draw steps, each of which may run the runbooks `below`; `shape` is row, or graph (with `needs`)."""
    found: list[Deed] = []
    for number in range(draw(st.integers(min(most, 2), most))):
        kind = draw(st.sampled_from([*KINDS, *(["runbook", "runbook"] if below else [])]))
        before = [deed.id for deed in found]
        needs = tuple(draw(st.lists(st.sampled_from(before), unique=True))) if before and shape == "graph" else None
        above = before[-1:] if needs is None and prefix == "s" else list(needs or ())
        found.append(
            Deed(
                f"{prefix}{number}",
                kind,
                draw(st.sampled_from(KINDS.get(kind, ("pass",)))),
                needs,
                draw(st.sampled_from(["", "", "", "", "", "no", *above])),
                draw(st.sampled_from(["abort", "abort", "continue", *below])),
                draw(st.sampled_from(below)) if kind == "runbook" else "",
            )
        )
    return tuple(found)


@st.composite
def drawings(draw: st.DrawFn) -> Drawn:
    """Draw a runbook of a few steps, and two that it may run."""
    shape = draw(st.sampled_from(["row", "graph"]))
    books: dict[str, Book] = {}
    for name, below, most in (("low", (), 2), ("mid", ("low",), 3), ("book", ("mid", "low"), 5)):
        ends = draw(deeds("f", below, "row", 2)) if draw(st.booleans()) else ()
        red_exit = draw(st.sampled_from([None, 2])) if name == "book" else None
        books[name] = Book(draw(deeds("s", below, shape, most)), ends, red_exit)
    return Drawn(books)
