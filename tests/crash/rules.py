"""What may become of a drawn run, straight from the rules: from its end backwards, and without any of Aurora's code.

Steps run beside each other, so a failure may come before or after another step's start, and a run has more ends than
one. So nothing is simulated here: each status is held against those of the steps around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aurora.journal import Event
from tests.crash.drawn import ITEMS, TRIES, Book, Deed, Drawn

BAD = ("red", "broken", "declined", "cancelled")
WORST = ("green", "amber", "cancelled", "declined", "red", "broken")
OWN_END = {"pass": "passed", "warn": "passed", "retry": "passed"}
CUT_SHORT = {"broken", "cancelled"}
"""How a step may end that was under way when the run failed: tried no more, or not taken up again after a kill."""


@dataclass
class Rules:
    """The end of a run: `ends` maps each step to its status. `faults` lists what the rules do not allow."""

    drawn: Drawn
    ends: Mapping[str, str]
    faults: list[str] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    warned: bool = False

    def check(self, outcome: str, code: int) -> list[str]:
        """Return what is wrong with this end of a run."""
        self.book("book", "", False)
        steps = {name: status for name, status in self.ends.items() if not name.endswith("]")}
        self.expect("the steps that ended", steps.keys(), self.known)
        worst = max((self.as_outcome(status) for status in self.ends.values()), key=WORST.index)
        if worst == "green" and self.warned:
            worst = "amber"
        red = self.drawn.books["book"].red_exit or 3
        codes = {"green": 0, "amber": 0, "cancelled": 5, "declined": 5, "red": red, "broken": 1}
        self.expect("the run's end", (outcome, code), (worst, codes[worst]))
        return self.faults

    def as_outcome(self, status: str) -> str:
        return status if status in BAD else "green"

    def expect(self, what: str, found: Any, wanted: Any) -> None:
        if found != wanted:
            self.faults.append(f"{what}: {found}, not {wanted}")

    def book(self, name: str, prefix: str, doomed: bool) -> str:
        """Check one runbook under its prefix; return how its container ends. `doomed`: the run around it has failed."""
        book = self.drawn.books[name]
        for number, deed in enumerate(book.steps):
            above = book.steps[number - 1].id if number else None
            needs = deed.needs if deed.needs is not None else (above,) if above else ()
            met = all(self.satisfies(book, prefix, other) for other in needs)
            failed = doomed or self.fails(book.steps, prefix, but=deed.id)
            self.step(deed, prefix, met, failed)
        started = any(self.end(prefix, deed) not in ("skipped", "omitted", None) for deed in book.steps)
        for deed in book.ends:
            self.step(deed, prefix, started, False)
        return self.container(book, prefix)

    def container(self, book: Book, prefix: str) -> str:
        everyone = [prefix + deed.id for deed in (*book.steps, *book.ends)]
        ends = [self.ends.get(path, "") for each in everyone for path in (each, f"{each}/on_failure")]
        worst = max((self.as_outcome(end) for end in ends), key=WORST.index)
        if worst != "green":
            return worst
        return "cancelled" if any(self.end(prefix, deed) == "omitted" for deed in book.steps) else "passed"

    def end(self, prefix: str, deed: Deed) -> str | None:
        return self.ends.get(prefix + deed.id)

    def satisfies(self, book: Book, prefix: str, other: str) -> bool:
        deed = next(deed for deed in book.steps if deed.id == other)
        end = self.end(prefix, deed)
        return end in ("passed", "skipped") or (end in BAD and deed.on_failure == "continue")

    def fails(self, deeds: Sequence[Deed], prefix: str, but: str) -> bool:
        """Return whether a step failed, by itself, that nothing lets the run go on after."""
        return any(
            deed.id != but
            and self.end(prefix, deed) in BAD
            and deed.on_failure != "continue"
            and (deed.kind == "runbook" or deed.does in BAD)
            for deed in deeds
        )

    def step(self, deed: Deed, prefix: str, met: bool, doomed: bool) -> None:
        """Check one step: `met` says whether what it needs has passed."""
        path, found = prefix + deed.id, self.end(prefix, deed)
        self.known.add(path)
        allowed = self.allowed(deed, prefix, doomed) if met else {"omitted"}
        if found not in allowed:
            self.faults.append(f"{path} ended {found}, not {sorted(allowed)}")
        if found == "passed" and deed.does == "warn":
            self.warned = True
        if deed.kind == "each" and found not in ("omitted", "skipped"):
            self.items(deed, path, str(found), doomed)
        if deed.on_failure in self.drawn.books and found in BAD:
            self.known.add(f"{path}/on_failure")
            inner = self.book(deed.on_failure, f"{path}/on_failure/", False)
            self.expect(f"{path}/on_failure", self.ends.get(f"{path}/on_failure"), inner)

    def allowed(self, deed: Deed, prefix: str, doomed: bool) -> set[str]:
        late = {"omitted"} if doomed else set()
        if deed.when == "no" or (deed.when and self.ends.get(prefix + deed.when) != "passed"):
            return {"skipped"} | late
        if deed.kind != "runbook":
            return {OWN_END.get(deed.does, deed.does)} | late | (CUT_SHORT if doomed else set())
        if self.end(prefix, deed) == "omitted":
            return late
        return {self.book(deed.book, f"{prefix}{deed.id}/", doomed)}

    def items(self, deed: Deed, path: str, found: str, doomed: bool) -> None:
        """Items run one after the other; the second is the bad one, and only `continue` goes on after it."""
        ends = [self.ends.get(f"{path}[{index}]") for index in range(ITEMS)]
        wanted: list[str | None] = ["passed", OWN_END.get(deed.does, deed.does), "passed"]
        if deed.does in BAD and deed.on_failure != "continue":
            wanted[2] = None
        if doomed and found != OWN_END.get(deed.does):  # how far it came is a matter of time
            began = [end for end in ends if end is not None]
            wanted = [*wanted[: len(began)][:-1], *began[-1:], *[None] * (ITEMS - len(began))]
        self.expect(f"the items of {path}", ends, wanted)


def order_faults(drawn: Drawn, events: Iterable[Event]) -> Iterator[str]:
    """Yield what began before its time."""
    begin: dict[str, int] = {}
    end: dict[str, int] = {}
    bad: set[str] = set()
    for number, event in enumerate(events):
        step = event.data.get("step")
        if step is None or event.data.get("status") == "omitted":
            continue
        begin.setdefault(step, number)
        if event.type == "step.finished":
            end[step] = number
            bad |= {step} if event.data["status"] in BAD else set()
    yield from _book_order(drawn, "book", "", begin, end, bad)


def _book_order(
    drawn: Drawn, name: str, prefix: str, begin: Mapping[str, int], end: Mapping[str, int], bad: set[str]
) -> Iterator[str]:
    book = drawn.books[name]
    ids = [prefix + deed.id for deed in book.steps]
    for number, deed in enumerate(book.steps):
        path = prefix + deed.id
        needs = [prefix + other for other in deed.needs] if deed.needs is not None else ids[:number][-1:]
        fatal = [
            prefix + other.id for other in book.steps if other.on_failure != "continue" and prefix + other.id in bad
        ]
        if path in begin:
            yield from (f"{path} began before {other} had ended" for other in needs if end[other] > begin[path])
            yield from (f"{path} began after {other} had failed" for other in fatal if end[other] < begin[path])
    for path in [prefix + deed.id for deed in book.ends] + [f"{each}/on_failure" for each in ids]:
        last = max((end[each] for each in ids if each in end), default=-1)
        if path in begin and begin[path] < last:
            yield f"{path} began before the steps had ended"
    for deed in (*book.steps, *book.ends):
        path = prefix + deed.id
        if deed.kind == "runbook" and path in begin:
            yield from _book_order(drawn, deed.book, f"{path}/", begin, end, bad)
        if f"{path}/on_failure" in begin:
            yield from _book_order(drawn, deed.on_failure, f"{path}/on_failure/", begin, end, bad)


def call_faults(drawn: Drawn, ends: Mapping[str, str], effects: Sequence[str], *, killed: bool) -> Iterator[str]:
    """Yield which functions ran too often, or not at all."""
    deeds = dict(drawn.walk())
    for path, status in ends.items():
        deed = deeds.get(path.partition("[")[0])
        if deed is None or deed.kind not in ("work", "send", "guess", "tell", "each"):
            continue
        if deed.kind == "each" and not path.endswith("]"):
            continue
        calls, did = ([line for line in effects if f":{path}:" in line and line.endswith(w)] for w in ("call", "did"))
        most = {"broken": TRIES, "retry": TRIES}.get(deed.does, 1) if deed.kind == "work" else 1
        ran = status in ("passed", "red")
        if deed.kind != "work" and len(did) > 1:
            yield f"{path} must not repeat, and acted {len(did)} times"
        if ran and not did:
            yield f"{path} is {status}, and did nothing"
        if status in ("skipped", "omitted") and calls:
            yield f"{path} is {status}, and was called"
        if not killed and (len(calls) > most or (ran and len(calls) < most)):
            yield f"{path} was called {len(calls)} times, not {most}"
