"""What deserves attention, in one sentence each: red, unknown, declined, waived, recovered, not real."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aurora.evidence.fold import History, listed, mapping
from aurora.evidence.harmless import line
from aurora.evidence.model import LOOKS, VERDICTS, Gate, Look, Prompt, Remark, Require, Step, walk

MAX_REMARKS = 60
_NOTE = Look("alert", "note", "note")
_RECOVERED = Look("alert", "warn", "recovered")
_CHANGED = Look("alert", "warn", "changed")
_RECORD = Look("cross", "bad", "damaged")
_STOPPED = Look("alert", "warn", "stopped")
_INTERRUPTED = Look("query", "busy", "interrupted")
_ORDER = ("bad", "busy", "warn", "note", "off")


def remarks_of(
    history: History, steps: tuple[Step, ...], requires: tuple[Require, ...], *, dry_run: bool
) -> tuple[Remark, ...]:
    """Return the remarks, worst first; past a number of them, how many more there are."""
    found = [*_of_record(history), *_of_run(history), *_of_requires(requires)]
    for step in walk(steps):
        found.extend(_of_step(step, dry_run=dry_run))
    found.extend(_unreached(history, steps))
    found.sort(key=lambda remark: _ORDER.index(remark.look.tone))
    if len(found) > MAX_REMARKS:
        rest = len(found) - MAX_REMARKS
        found = [
            *found[:MAX_REMARKS],
            Remark(_NOTE, "More", f"{rest:,} further remarks stand beside their steps below."),
        ]
    return tuple(found)


def gate_sentence(gate: Gate) -> str:
    """Return why a gate is not green, with the value of each name in it."""
    values = ", ".join(f"{each.name} = {each.value}" for each in gate.values)
    what = "could not be decided" if gate.error and gate.look is VERDICTS["unknown"] else "does not hold"
    if gate.look is VERDICTS["unknown"] and not gate.error:
        what = "was not decided"
    text = f"{gate.check} {what}"
    if values:
        text += f" ({values})"
    if gate.error:
        text += f": {gate.error}"
    return text + (f" — {gate.message}" if gate.message else "")


def _of_record(history: History) -> Iterator[Remark]:
    if not history.chained:
        yield Remark(
            _RECORD, "Journal", "A line does not follow the one above it: the record was changed, or is not whole."
        )
    if history.unread:
        events = "event has a type" if history.unread == 1 else "events have types"
        yield Remark(
            _RECORD, "Journal", f"{history.unread:,} {events} that this report does not know; they are not shown."
        )


def _of_run(history: History) -> Iterator[Remark]:
    code = mapping(history.opened.get("code"))
    if code.get("dirty") is True:
        yield Remark(_CHANGED, "Code", "The working tree held changes that are in no commit.")
    for _, kind, data in history.events:
        if kind == "journal.recovered":
            size, name = line(data.get("bytes"), 40), line(data.get("saved_as"), 120)
            text = f"A torn last line ({size} bytes) was moved aside to {name}."
            yield Remark(_RECOVERED, "Journal", text)
        elif kind == "run.resumed":
            yield _resumed(data)
        elif kind == "run.stopping" and data.get("reason") != "red":
            yield Remark(_STOPPED, "Run", f"It was told to stop by {line(data.get('reason'), 80)}.")
    if history.interrupted is not None:
        reason = history.interrupted.get("reason")
        text = "It ended before it was done and can be resumed" + (f": {line(reason, 240)}." if reason else ".")
        yield Remark(_INTERRUPTED, "Run", text)


def _resumed(data: Mapping[str, Any]) -> Remark:
    changes = [line(change, 160) for change in listed(data.get("changes"))[:20]]
    by = mapping(data.get("operator")).get("os_user")
    text = "It was resumed" + (f" by {line(by, 80)}" if by else "")
    if not changes:
        return Remark(_RECOVERED, "Run", f"{text}; nothing had changed since it was opened.")
    said = "the changes were accepted" if data.get("accepted") is True else "the changes were not accepted"
    return Remark(_CHANGED, "Run", f"{text} after changes ({'; '.join(changes)}); {said}.")


def _of_requires(requires: tuple[Require, ...]) -> Iterator[Remark]:
    for require in requires:
        if require.look.tone == "bad":
            yield Remark(
                require.look,
                f"Requires {require.runbook}",
                f"{require.reason or 'The evidence asked for was not found'}.",
            )
    unchecked = [require for require in requires if require.look.tone == "warn"]
    if unchecked:
        names = ", ".join(require.runbook for require in unchecked[:20])
        yield Remark(unchecked[0].look, "Requires", f"Evidence of other runs was not looked for: {names}.")


def _of_step(step: Step, *, dry_run: bool) -> Iterator[Remark]:
    look = step.look
    is_echo = (look.tone == "busy" and step.is_group) or (
        any(child.look.tone in ("bad", "busy") for child in step.children) and not (step.failure or step.prompts)
    )
    reds = [gate for gate in step.gates if gate.look is not None and gate.look.tone == "bad"]
    if look is LOOKS["red"] and reds:
        more = f" (and {len(reds) - 1} more)" if len(reds) > 1 else ""
        yield Remark(look, step.title, f"{gate_sentence(reds[0])}{more}.", step.anchor)
    elif look is LOOKS["waived"] or look is LOOKS["cancelled"] or (look.tone in ("bad", "busy") and not is_echo):
        yield Remark(look, step.title, _sentence(step), step.anchor)
    yield from _of_gates(step, dry_run=dry_run)
    if look.tone in ("good", "warn"):
        yield from _of_history(step)


def _of_gates(step: Step, *, dry_run: bool) -> Iterator[Remark]:
    for gate in step.gates:
        is_expected = gate.look is VERDICTS["unknown"] and dry_run and step.simulated
        if gate.look in (VERDICTS["advisory"], VERDICTS["unknown"]) and not is_expected:
            yield Remark(gate.look, step.title, f"{gate_sentence(gate)}.", step.anchor)


def _of_history(step: Step) -> Iterator[Remark]:
    """Say how a step that ended well got there when it was not at the first try."""
    verified = [each for attempt in step.attempts for each in attempt.verified]
    if verified:
        last = verified[-1]
        text = f"Its outcome was unknown; {last.by or 'someone'} found that {last.answer}"
        yield Remark(_RECOVERED, step.title, text + (f" ({last.reason})." if last.reason else "."), step.anchor)
    elif len(step.attempts) > 1 and all(each.look is LOOKS["red"] for each in step.attempts[:-1]):
        text = f"Its gate held at look {len(step.attempts)}; until then it waited."
        yield Remark(_RECOVERED, step.title, text, step.anchor)
    elif len(step.attempts) > 1:
        first = next(
            (attempt.failure.message for attempt in step.attempts if attempt.failure), "it had no end on record"
        )
        text = f"It took {len(step.attempts)} attempts; the first ended so: {first.rstrip('.')}."
        yield Remark(_RECOVERED, step.title, text, step.anchor)


def _sentence(step: Step) -> str:
    if step.look is LOOKS["declined"] and step.prompts:
        return prompt_sentence(step.prompts[-1])
    if step.look is LOOKS["waiting"] and step.prompts:
        prompt = step.prompts[-1]
        return f"asked at {prompt.opened}" + (
            f", with {prompt.timeout} to answer." if prompt.timeout else ", not answered yet."
        )
    words = {
        "red": "a gate is red",
        "waived": "it was waived",
        "cancelled": "it was cancelled",
        "outcome unknown": "nobody knows what it did",
        "timed out": "it did not end in time",
        "running": "it was started, and its end is not on record yet",
        "started, no end on record": "it was started, and its end is not on record",
        "about to be tried again": "an attempt failed, and another one follows",
    }
    return f"{_why(step, words.get(step.look.word, 'it failed'))}."


def prompt_sentence(prompt: Prompt) -> str:
    """Return who said no to what, or why nobody did."""
    refused = [tick.line for tick in prompt.ticks if tick.answer == "no"]
    if prompt.reason != "answered":
        return f"no answer ({prompt.reason or 'no reason given'}), and no answer is a no."
    return f"{prompt.by or 'someone'} said no" + (f" to: {'; '.join(refused[:5])}." if refused else ".")


def _why(step: Step, otherwise: str) -> str:
    if step.failure is not None:
        return f"{step.failure.type}: {step.failure.message}".rstrip(".")
    return (step.reason or otherwise).rstrip(".")


def _unreached(history: History, steps: tuple[Step, ...]) -> Iterator[Remark]:
    leaves = [step for step in walk(steps) if not step.is_group]
    omitted = sum(step.look is LOOKS["omitted"] for step in leaves)
    pending = sum(step.look is LOOKS["pending"] for step in leaves)
    if omitted:
        text = "1 step was left out because" if omitted == 1 else f"{omitted:,} steps were left out because"
        yield Remark(LOOKS["omitted"], "Checklist", f"{text} something before did not pass.")
    if pending and (history.finished is not None or history.interrupted is not None):
        yield Remark(
            LOOKS["pending"], "Checklist", f"{pending:,} step{' was' if pending == 1 else 's were'} not reached."
        )
