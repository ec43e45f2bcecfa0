"""What a report says, as frozen values: every text in it is harmless already, nothing in it is markup."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """How a state is shown: a sign, a tone (the colour's name), and the word that says the same without colour."""

    mark: str
    tone: str
    word: str

    @property
    def sign(self) -> str:
        """Return the mark as one character."""
        return SIGNS[self.mark]


SIGNS = {"tick": "✓", "cross": "✗", "dash": "–", "alert": "!", "query": "?", "dots": "…"}

LOOKS = {
    "passed": Look("tick", "good", "passed"),
    "amber": Look("alert", "warn", "passed with remarks"),
    "waived": Look("alert", "warn", "waived"),
    "red": Look("cross", "bad", "red"),
    "broken": Look("cross", "bad", "broken"),
    "timed_out": Look("cross", "bad", "timed out"),
    "declined": Look("cross", "bad", "declined"),
    "unknown": Look("query", "bad", "outcome unknown"),
    "waiting": Look("dots", "busy", "waiting for a person"),
    "running": Look("dots", "busy", "running"),
    "unsettled": Look("query", "busy", "started, no end on record"),
    "retrying": Look("dots", "busy", "about to be tried again"),
    "skipped": Look("dash", "off", "skipped"),
    "omitted": Look("dash", "off", "omitted"),
    "cancelled": Look("dash", "warn", "cancelled"),
    "pending": Look("dash", "off", "not reached"),
    "standby": Look("dash", "off", "not needed"),
}
VERDICTS = {
    "pass": Look("tick", "good", "holds"),
    "red": Look("cross", "bad", "red"),
    "advisory": Look("alert", "warn", "red, advisory"),
    "unknown": Look("query", "warn", "not decided"),
}
OUTCOMES = {
    "green": (Look("tick", "good", "Green"), "Every step that ran passed, and every gate holds."),
    "amber": (
        Look("alert", "warn", "Amber"),
        "Nothing blocking failed, but there are remarks: read them before relying on it.",
    ),
    "red": (Look("cross", "bad", "Red"), "A blocking gate does not hold."),
    "broken": (Look("cross", "bad", "Broken"), "A step failed, or nobody knows how it ended."),
    "declined": (Look("cross", "bad", "Declined"), "A person said no, or did not answer."),
    "cancelled": (Look("dash", "warn", "Cancelled"), "The run was cancelled before it was done."),
    "waiting": (Look("dots", "busy", "Waiting"), "The run waits for a person; it can be resumed."),
    "interrupted": (Look("query", "warn", "Interrupted"), "The run ended before it was done; it can be resumed."),
    "running": (
        Look("dots", "busy", "Unfinished"),
        "The journal ends here and does not say that the run did: it goes on, or its process was killed.",
    ),
    "none": (Look("query", "bad", "No run"), "The journal does not say that a run was opened."),
}


@dataclass(frozen=True)
class Named:
    """A name with its value."""

    name: str
    value: str


@dataclass(frozen=True)
class Table:
    """An output that is a list of alike entries: its name, their keys, and a row of values for each."""

    name: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def is_short(self) -> bool:
        """Return whether it may stand in the checklist itself."""
        return len(self.rows) <= 16


@dataclass(frozen=True)
class Fact:
    """Something about the run as a whole; `note` is the small print, `digest` a hash or commit."""

    name: str
    value: str
    note: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Outcome:
    """How the run ended, in one word, one sentence and its exit code ("" while it has none)."""

    key: str
    look: Look
    sentence: str
    exit_code: str
    final: bool


@dataclass(frozen=True)
class Banner:
    """Something that nobody may overlook: where the orders went, and what was not real."""

    tone: str
    title: str
    text: str


@dataclass(frozen=True)
class Remark:
    """One sentence that deserves attention, and the step it is about (anchor "" for the whole run)."""

    look: Look
    title: str
    text: str
    anchor: str = ""


@dataclass(frozen=True)
class Gate:
    """A gate as it was decided, with the value of each name in it; before that, only its text."""

    check: str
    advisory: bool
    look: Look | None
    values: tuple[Named, ...] = ()
    message: str = ""
    error: str = ""


@dataclass(frozen=True)
class Tick:
    """A line of a checklist and the answer to it: `yes`, `no`, or "" for none."""

    line: str
    answer: str

    @property
    def look(self) -> Look:
        """Return how the answer is shown."""
        return {"yes": VERDICTS["pass"], "no": VERDICTS["red"]}.get(self.answer, LOOKS["pending"])


@dataclass(frozen=True)
class Prompt:
    """A question to a person and what came of it; `accepted` is None while it is open."""

    text: str
    ticks: tuple[Tick, ...]
    opened: str
    timeout: str
    accepted: bool | None
    by: str = ""
    source: str = ""
    reason: str = ""
    answered: str = ""
    signature: str = ""
    """Who signed the answer, with which key; or why nobody did who should have."""

    @property
    def scripted(self) -> bool:
        """Return whether a file answered, not a person."""
        return self.source == "scripted"

    @property
    def is_unattended(self) -> bool:
        """Return whether nobody and nothing answered."""
        return self.accepted is not None and self.source != "scripted" and self.reason != "answered"


@dataclass(frozen=True)
class Failure:
    """An error: its type, its message, and its trace."""

    type: str
    message: str
    trace: str


@dataclass(frozen=True)
class Verification:
    """What was found out about an outcome that nobody knew."""

    answer: str
    by: str
    reason: str
    at: str


@dataclass(frozen=True)
class Attempt:
    """One try of a step, with the arguments it was given."""

    number: str
    started: str
    token: str
    arguments: tuple[Named, ...]
    look: Look
    failure: Failure | None = None
    delay: str = ""
    verified: tuple[Verification, ...] = ()


@dataclass(frozen=True)
class Artifact:
    """A file that a step left behind.

    picture: a figure's data address, to be shown; alt: its own title. hidden: why a figure is not shown.
    """

    name: str
    size: str
    sha256: str
    picture: str = ""
    alt: str = ""
    hidden: str = ""


@dataclass(frozen=True)
class Step:
    """A step of the plan, or an item of a `foreach`, with everything on record about it and the steps inside it."""

    anchor: str
    id: str
    name: str
    title: str
    does: str
    kind: str
    section: str
    look: Look
    needs: tuple[str, ...] = ()
    elapsed: str = ""
    started: str = ""
    finished: str = ""
    reason: str = ""
    condition: str = ""
    item: str | None = None
    effects: tuple[str, ...] = ()
    simulated: bool = False
    gates: tuple[Gate, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    checklist: tuple[str, ...] = ()
    outputs: tuple[Named, ...] = ()
    tables: tuple[Table, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    failure: Failure | None = None
    log: str = ""
    artifacts: tuple[Artifact, ...] = ()
    children: tuple[Step, ...] = ()
    each: bool = False

    @property
    def figures(self) -> tuple[Artifact, ...]:
        """Return the artifacts that are shown."""
        return tuple(each for each in self.artifacts if each.picture)

    def inner(self, section: str) -> tuple[Step, ...]:
        """Return the children of one section: `steps`, `on_failure` or `finally`."""
        return tuple(child for child in self.children if child.section == section)

    @property
    def is_group(self) -> bool:
        """Return whether the step is made of others: a sub-runbook, or a `foreach` with its items."""
        return any(child.section != "on_failure" for child in self.children)

    @property
    def has_evidence(self) -> bool:
        """Return whether there is more to show than the checklist's own lines."""
        told = any(each.arguments or each.verified or each.failure for each in self.attempts)
        ran = self.attempts and not self.is_group
        return bool(self.outputs or self.tables or ran or told or self.failure or self.log or self.artifacts)


@dataclass(frozen=True)
class Require:
    """Evidence of another run that the runbook asks for, and whether it was found."""

    runbook: str
    wants: str
    look: Look
    reason: str


@dataclass(frozen=True)
class Moment:
    """Something that happened to the run as a whole."""

    at: str
    what: str
    detail: str


@dataclass(frozen=True)
class Report:
    """A run, computed from its journal and nothing else."""

    outcome: Outcome
    title: str
    run: str
    runbook: str
    mode: str
    venue: str
    banners: tuple[Banner, ...]
    facts: tuple[Fact, ...]
    params: tuple[Named, ...]
    inputs: tuple[Named, ...]
    counts: tuple[tuple[Look, int], ...]
    remarks: tuple[Remark, ...]
    requires: tuple[Require, ...]
    steps: tuple[Step, ...]
    moments: tuple[Moment, ...]
    head: str
    events: int
    chained: bool
    commands: tuple[str, ...] = ()
    """What an auditor types to check the sealed record."""

    @property
    def main(self) -> tuple[Step, ...]:
        """Return the top steps that are not in `finally`."""
        return tuple(step for step in self.steps if step.section != "finally")

    @property
    def has_figures(self) -> bool:
        """Return whether any step shows a figure."""
        return any(step.figures for step in walk(self.steps))

    @property
    def ending(self) -> tuple[Step, ...]:
        """Return the top steps in `finally`."""
        return tuple(step for step in self.steps if step.section == "finally")


def walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Yield each step, then the steps inside it."""
    for step in steps:
        yield step
        yield from walk(step.children)
