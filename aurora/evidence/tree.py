"""From the records of a journal to the tree of steps that a report shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aurora.evidence.fold import Asked, History, Record, Try, listed, mapping, seconds_between
from aurora.evidence.harmless import block, bytes_text, line, number, seconds_text, value_text
from aurora.evidence.model import (
    LOOKS,
    VERDICTS,
    Artifact,
    Attempt,
    Failure,
    Gate,
    Look,
    Named,
    Prompt,
    Step,
    Table,
    Tick,
    Verification,
)
from aurora.evidence.pictures import picture

MAX_DEPTH = 20
MAX_ENTRIES = 200
_MOST_COLUMNS = 10
_ANSWERS = {"done": "it was done", "not_done": "it was not done", "unknown": "nobody can tell"}


def clock_text(ts: str, day: str = "") -> str:
    """Return a journal time for people; without its date when that is `day`."""
    if len(ts) >= 20 and ts[4] == "-" and ts[10] == "T" and ts.endswith("Z"):
        shown = ts[11:19] if day and ts.startswith(day) else f"{ts[:10]} {ts[11:19]} UTC"
        return line(shown, 40)
    return line(ts, 40)


def named(value: object, limit: int = 2_000) -> tuple[Named, ...]:
    """Return a JSON object as names with values; of a very long one, the first entries and how many there are."""
    if value is None:
        return ()
    if not isinstance(value, Mapping) or set(value) == {"$float"}:
        return (Named("value", value_text(value, limit)),)
    shown = [Named(line(name, 80), value_text(item, limit)) for name, item in list(value.items())[:MAX_ENTRIES]]
    if len(value) > MAX_ENTRIES:
        shown.append(Named("…", f"{len(value):,} entries, the first {MAX_ENTRIES} shown"))
    return tuple(shown)


def text_of(value: object, limit: int = 240) -> str:
    """Return a value that should be text as one line; nothing for null."""
    return "" if value is None else line(value, limit)


def signature_text(data: Mapping[str, Any]) -> str:
    """Return who signed an answer, with which key, or why nobody did who should have; "" where none is asked for."""
    if data.get("unsigned"):
        return f"not signed: {line(data['unsigned'], 240)}"
    given = mapping(data.get("signature"))
    if not given:
        return ""
    return f"signed by {text_of(given.get('principal'), 120)} with {text_of(given.get('key'), 80)}"


def gate_of(data: Mapping[str, Any]) -> Gate:
    """Return a gate from its journal form, decided or (in a plan entry) not yet."""
    advisory = data.get("severity") == "advisory"
    verdict = data.get("verdict")
    look = None if verdict is None else VERDICTS.get(verdict if isinstance(verdict, str) else "", VERDICTS["unknown"])
    if look is VERDICTS["red"] and advisory:
        look = VERDICTS["advisory"]
    return Gate(
        text_of(data.get("check"), 600),
        advisory,
        look,
        named(data.get("values"), 600),
        text_of(data.get("message"), 600),
        text_of(data.get("error"), 600),
    )


def failure_of(data: object) -> Failure | None:
    """Return an error; None when there is none."""
    if data is None:
        return None
    if not isinstance(data, Mapping):
        return Failure("error", line(data, 600), "")
    return Failure(
        text_of(data.get("type"), 80) or "error",
        text_of(data.get("message"), 1_000),
        block(data.get("trace") or "", end=True),
    )


class Tree:
    """parents → order → a Step for each record, children first, with the look that its record and theirs give it."""

    def __init__(self, history: History, figures: Mapping[str, bytes]) -> None:
        self.history = history
        self.figures = figures
        self.over = history.finished is not None
        self.day = history.first[:10] if len(history.first) > 10 else ""
        self.children: dict[str, list[str]] = {}
        self.parents = {step_id: self._parent(record) for step_id, record in history.records.items()}
        for step_id in history.records:
            parent = self._sound_parent(step_id)
            if not self._is_template(parent, step_id):
                self.children.setdefault(parent or "", []).append(step_id)
        self.anchors: dict[str, str] = {}
        self._number("")

    def steps(self) -> tuple[Step, ...]:
        """Return the top of the tree."""
        return tuple(self._step(step_id, standby=False) for step_id in self.children.get("", ()))

    # the tree's shape

    def _parent(self, record: Record) -> str | None:
        records = self.history.records
        step_id = record.id
        above = step_id.rpartition("/")[0]
        if step_id.endswith("]") and step_id.rpartition("[")[0] in records:
            return step_id.rpartition("[")[0]
        told = record.entry.get("parent")
        if record.entry.get("section") == "on_failure" and above in records:
            return above
        if isinstance(told, str) and told in records and told != step_id and "[" not in step_id:
            return told
        while above:
            if above in records:
                return above
            above = above.rpartition("/")[0]
        return None

    def _sound_parent(self, step_id: str) -> str | None:
        """Return the parent, unless the way up is a circle or too long to draw."""
        seen = {step_id}
        above = self.parents[step_id]
        while above is not None:
            if above in seen or len(seen) > MAX_DEPTH:
                return None
            seen.add(above)
            above = self.parents[above]
        return self.parents[step_id]

    def _is_template(self, parent: str | None, step_id: str) -> bool:
        """Return whether the step stands in the plan for the items of an expanded `foreach`."""
        while parent is not None and not self.history.records[step_id].is_touched:
            if self.history.records[parent].items and not step_id.startswith(f"{parent}["):
                return True
            parent = self.parents[parent] if self._sound_parent(parent) is not None else None
        return False

    def _number(self, parent: str) -> None:
        for step_id in self.children.get(parent, ()):
            self.anchors[step_id] = f"s{len(self.anchors) + 1}"
            if step_id != "":
                self._number(step_id)

    # one step

    def _step(self, step_id: str, *, standby: bool) -> Step:
        record = self.history.records[step_id]
        entry, finished = record.entry, mapping(record.finished)
        section = _section(record)
        standby = standby or (section == "on_failure" and self._is_spared(step_id))
        below = self.children.get(step_id, ()) if step_id else ()
        children = tuple(self._step(child, standby=standby and not record.is_touched) for child in below)
        gates = _gates(finished.get("gates") or entry.get("gates"))
        begun = _begun(record)
        name = step_id.rpartition("/")[2]
        return Step(
            anchor=self.anchors[step_id],
            id=line(step_id, 120),
            name=line(name, 80),
            title=self._title(record, name),
            does=_does(entry),
            kind=text_of(entry.get("kind"), 20),
            section=section,
            look=self._look(record, children, gates, standby=standby),
            needs=self._needs(entry),
            elapsed=_elapsed(record, begun),
            started=clock_text(begun, self.day),
            finished=clock_text(record.finished_at, self.day) if record.finished else "",
            reason=text_of(finished.get("reason"), 600),
            condition=text_of(entry.get("if"), 300) if finished.get("status") == "skipped" else "",
            item=None if record.item is None else value_text(record.item[0], 300),
            effects=tuple(line(effect, 40) for effect in listed(entry.get("effects"))[:20]),
            simulated=finished.get("simulated") is True,
            gates=gates,
            prompts=tuple(self._prompt(asked) for asked in record.asked),
            checklist=tuple(line(each, 300) for each in listed(entry.get("checklist"))[:MAX_ENTRIES]),
            outputs=() if record.items is not None else named(_plain_outputs(finished.get("outputs"))),
            tables=() if record.items is not None else tuple(_tables(finished.get("outputs"))),
            attempts=tuple(self._attempt(each) for each in record.tries) if entry.get("kind") != "gate" else (),
            failure=failure_of(finished.get("error")),
            log=_log(finished.get("log")),
            artifacts=tuple(_artifacts(finished.get("artifacts"), self.figures)),
            children=children,
            each=record.items is not None or (entry.get("foreach") is True and not step_id.endswith("]")),
        )

    def _title(self, record: Record, name: str) -> str:
        title = text_of(record.entry.get("title"), 160)
        if record.item is not None:
            return f"{title or line(name, 80)}: {value_text(record.item[0], 80)}"
        return title or line(name, 80) or "(no name)"

    def _needs(self, entry: Mapping[str, Any]) -> tuple[str, ...]:
        needs = (need for need in listed(entry.get("needs")) if isinstance(need, str))
        return tuple(self.anchors[need] for need in needs if need in self.anchors)

    def _is_spared(self, step_id: str) -> bool:
        """Return whether a failure path was not needed, since the step that it guards did not fail."""
        guarded = self.history.records.get(self.parents[step_id] or "")
        status = mapping(guarded.finished).get("status") if guarded is not None else None
        return self.over or status in ("passed", "skipped", "omitted", "waived")

    def _look(self, record: Record, children: Sequence[Step], gates: Sequence[Gate], *, standby: bool) -> Look:
        if record.finished is not None:
            status = record.finished.get("status")
            key = status if isinstance(status, str) else ""
            key = {"green": "passed"}.get(key, key)
            remarks = any(gate.look not in (None, VERDICTS["pass"]) for gate in gates)
            remarks = remarks or any(child.look.tone == "warn" for child in children)
            if key == "passed" and remarks:
                key = "amber"
            return LOOKS.get(key) or Look("query", "bad", line(status, 40) or "no status")
        if record.asked and not mapping(record.asked[-1].answer).get("accepted"):  # nobody could settle it: it waits
            return LOOKS["waiting"]
        stopped = self.over or self.history.interrupted is not None
        if record.is_open or any(child.look.tone != "off" for child in children):
            last = record.tries[-1] if record.tries else None
            if last is not None and last.status is not None:
                return LOOKS["retrying"]
            return LOOKS["unsettled" if stopped else "running"]
        return LOOKS["standby" if standby else "pending"]

    def _prompt(self, asked: Asked) -> Prompt:
        answer = mapping(asked.answer)
        given = [
            (text_of(each.get("line"), 300), each.get("answer")) for each in map(mapping, listed(answer.get("answers")))
        ]
        ticks = [Tick(text, word if word in ("yes", "no") else line(word, 20)) for text, word in given[:MAX_ENTRIES]]
        said = {tick.line for tick in ticks}
        lines = [line(each, 300) for each in listed(asked.data.get("checklist"))[:MAX_ENTRIES]]
        ticks.extend(Tick(each, "") for each in lines if each not in said)
        return Prompt(
            text=text_of(asked.data.get("prompt"), 600),
            ticks=tuple(ticks),
            opened=clock_text(asked.opened, self.day),
            timeout=seconds_text(asked.data.get("timeout_s")),
            accepted=None if asked.answer is None else answer.get("accepted") is True,
            by=text_of(answer.get("by"), 120),
            source=text_of(answer.get("source"), 40),
            reason=text_of(answer.get("reason"), 240),
            answered=clock_text(asked.answered, self.day),
            signature=signature_text(answer),
        )

    def _attempt(self, each: Try) -> Attempt:
        unended = LOOKS["unsettled" if self.over or self.history.interrupted is not None else "running"]
        look = unended if each.status is None else LOOKS.get(each.status) or Look("query", "bad", line(each.status, 40))
        return Attempt(
            number=text_of(each.data.get("attempt"), 20),
            started=clock_text(each.started, self.day),
            token=text_of(each.data.get("token"), 200),
            arguments=named(each.data.get("with")),
            look=look,
            failure=failure_of(each.error),
            delay=seconds_text(each.delay),
            verified=tuple(
                Verification(
                    _ANSWERS.get(str(data.get("answer")), text_of(data.get("answer"), 40)),
                    text_of(data.get("by"), 80),
                    text_of(data.get("reason"), 300),
                    clock_text(ts, self.day),
                )
                for ts, data in each.verified
            ),
        )


def _section(record: Record) -> str:
    """Return where a step stands in its runbook; an item of a `foreach` stands among the items."""
    told = record.entry.get("section")
    is_item = record.item is not None or record.id.endswith("]")
    return str(told) if told in ("finally", "on_failure") and not is_item else "steps"


def _gates(data: object) -> tuple[Gate, ...]:
    return tuple(gate_of(mapping(gate)) for gate in listed(data)[:MAX_ENTRIES])


def _begun(record: Record) -> str:
    """Return when a step was first started, or its question first asked."""
    return next((each for each in (*(t.started for t in record.tries), *(a.opened for a in record.asked)) if each), "")


def _does(entry: Mapping[str, Any]) -> str:
    if entry.get("uses") is not None:
        return text_of(entry.get("uses"), 120)
    if entry.get("runbook") is not None:
        return f"runbook {text_of(entry.get('runbook'), 120)}"
    return text_of(entry.get("kind"), 20)


def _elapsed(record: Record, begun: str) -> str:
    """Return what the engine measured; for steps that it does not time, from the first to the last event."""
    if record.finished is None:
        return ""
    measured = number(record.finished.get("elapsed_s"))
    if measured is not None and measured != 0:
        return seconds_text(record.finished.get("elapsed_s"))
    return seconds_text(seconds_between(begun, record.finished_at)) if begun else ""


def _log(lines: object) -> str:
    """Return the last lines of a step's log."""
    shown = [line(each, 500) for each in listed(lines)[-MAX_ENTRIES:]]
    return block("\n".join(shown), end=True)


def _plain_outputs(outputs: object) -> object:
    """Return the outputs without those that are shown as tables."""
    if not isinstance(outputs, Mapping):
        return outputs
    return {name: value for name, value in outputs.items() if _keys_of(value) is None}


def _tables(outputs: object) -> Iterator[Table]:
    for name, value in outputs.items() if isinstance(outputs, Mapping) else ():
        keys = _keys_of(value)
        if keys is not None:
            rows = tuple(tuple("–" if row[key] is None else value_text(row[key], 300) for key in keys) for row in value)
            yield Table(line(name, 80), tuple(line(key, 40) for key in keys), rows)


def _keys_of(value: object) -> tuple[str, ...] | None:
    """Return the keys that each entry of a list has, of plain values; None for what is no such list, or a long one."""
    if not isinstance(value, list) or not 0 < len(value) <= MAX_ENTRIES or not isinstance(value[0], Mapping):
        return None
    keys = tuple(value[0])
    plain = all(
        isinstance(row, Mapping)
        and tuple(row) == keys
        and not any(isinstance(cell, list | Mapping) for cell in row.values())
        for row in value
    )
    return keys if 1 < len(keys) <= _MOST_COLUMNS and plain else None


def _artifacts(entries: object, figures: Mapping[str, bytes]) -> Iterator[Artifact]:
    for each in map(mapping, listed(entries)[:MAX_ENTRIES]):
        yield _artifact(each, figures)


def _artifact(data: Mapping[str, Any], figures: Mapping[str, bytes]) -> Artifact:
    gone = data.get("quarantined")
    digest = text_of(data.get("sha256"), 80) if gone is None else f"held a secret; moved to {text_of(gone, 200)}"
    shown = picture(str(data.get("name")), data.get("sha256"), figures)
    return Artifact(text_of(data.get("name"), 200), bytes_text(data.get("bytes")), digest, *shown)
