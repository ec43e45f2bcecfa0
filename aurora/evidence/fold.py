"""What a journal says, gathered by step: a fold that takes any events and never raises, whatever they hold."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aurora.journal import FIRST, Event

MAX_ITEMS = 1_000
_INSTANCE = re.compile(r"\[[0-9]{1,9}\]")


@dataclass
class Try:
    """One attempt, from its start to whatever is said of its end."""

    data: Mapping[str, Any]
    started: str
    status: str | None = None
    error: object = None
    delay: object = None
    verified: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)


@dataclass
class Asked:
    """One question, and the answer once there is one."""

    data: Mapping[str, Any]
    opened: str
    answer: Mapping[str, Any] | None = None
    answered: str = ""


@dataclass
class Record:
    """Everything on record about one step."""

    id: str
    entry: Mapping[str, Any]
    tries: list[Try] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    items: list[Any] | None = None
    item: tuple[Any] | None = None
    finished: Mapping[str, Any] | None = None
    finished_at: str = ""
    is_open: bool = False
    """Started, or about to be tried again, and not finished since."""

    @property
    def is_touched(self) -> bool:
        """Return whether any event speaks of the step."""
        return bool(self.tries or self.asked or self.finished or self.is_open or self.items is not None)


@dataclass
class History:
    """A journal's events, gathered: the run's own, and a record for each step in plan order."""

    opened: Mapping[str, Any] = field(default_factory=dict)
    opened_at: str = ""
    first: str = ""
    last: str = ""
    count: int = 0
    unread: int = 0
    records: dict[str, Record] = field(default_factory=dict)
    events: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)
    """Events about the run as a whole: time, type, data."""
    interrupted: Mapping[str, Any] | None = None
    finished: Mapping[str, Any] | None = None
    finished_at: str = ""
    resumes: int = 0
    head: str = ""
    chained: bool = True

    def record(self, step_id: str) -> Record:
        """Return the record of a step; one that the plan does not name takes the entry of its `foreach`."""
        if step_id not in self.records:
            template = self.records.get(_INSTANCE.sub("", step_id))
            self.records[step_id] = Record(step_id, template.entry if template else {})
        return self.records[step_id]


def mapping(value: object) -> Mapping[str, Any]:
    """Return `value` when it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def listed(value: object) -> Sequence[Any]:
    """Return `value` when it is a JSON list, else an empty one."""
    return value if isinstance(value, list | tuple) else ()


def instant(ts: str) -> datetime | None:
    """Return a journal's time; None when it is none."""
    try:
        found = datetime.fromisoformat(ts)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def seconds_between(start: str, end: str) -> float | None:
    """Return the seconds from one journal time to another; None when either is none, or the clock was set back."""
    first, last = instant(start), instant(end)
    return None if first is None or last is None or last < first else (last - first).total_seconds()


def fold(events: Iterable[Event | Mapping[str, Any]]) -> History:
    """Gather `events` (dicts as in the journal's lines, or as read_journal returns them)."""
    history = History()
    lines: list[Mapping[str, Any]] = []
    for event in events:
        line = (
            {"seq": event.seq, "ts": event.ts, "type": event.type, "data": event.data}
            if isinstance(event, Event)
            else event
        )
        lines.append(mapping(line))
    history.count = len(lines)
    for line in lines:
        kind, data, ts = line.get("type"), line.get("data"), line.get("ts")
        handler = _HANDLERS.get(kind) if isinstance(kind, str) else None
        if handler is None or not isinstance(data, Mapping):
            history.unread += 1
            continue
        ts = ts if isinstance(ts, str) else ""
        history.first, history.last = history.first or ts, ts or history.last
        handler(history, data, ts)
    history.head, history.chained = _chain(lines)
    return history


def _chain(lines: Sequence[Mapping[str, Any]]) -> tuple[str, bool]:
    """Recompute each line's hash as the journal wrote it; return the last, and whether each follows the one above."""
    head = FIRST
    for line in lines:
        if line.get("prev", head) != head:
            return "", False
        whole = {
            "seq": line.get("seq"),
            "prev": head,
            "ts": line.get("ts"),
            "type": line.get("type"),
            "data": line.get("data"),
        }
        try:
            raw = json.dumps(whole, separators=(",", ":"), default=str).encode() + b"\n"
        except (ValueError, TypeError, RecursionError):
            return "", False
        head = hashlib.sha256(raw).hexdigest()
    return (head if lines else ""), True


def _step(history: History, data: Mapping[str, Any]) -> Record:
    step_id = data.get("step")
    return history.record(step_id if isinstance(step_id, str) else "?")


def _opened(history: History, data: Mapping[str, Any], ts: str) -> None:
    history.opened, history.opened_at = data, ts
    history.events.append((ts, "run.opened", data))
    for entry in listed(data.get("plan")):
        step_id = mapping(entry).get("id")
        if isinstance(step_id, str) and step_id not in history.records:
            history.records[step_id] = Record(step_id, entry)


def _expanded(history: History, data: Mapping[str, Any], _: str) -> None:
    record = _step(history, data)
    record.items = list(listed(data.get("items")))
    for index, item in enumerate(record.items[:MAX_ITEMS]):
        history.record(f"{record.id}[{index}]").item = (item,)


def _started(history: History, data: Mapping[str, Any], ts: str) -> None:
    record = _step(history, data)
    record.tries.append(Try(data, ts))
    record.is_open, record.finished = True, None


def _retrying(history: History, data: Mapping[str, Any], _: str) -> None:
    record = _step(history, data)
    attempt = _attempt(record, data)
    attempt.status, attempt.error, attempt.delay = str(data.get("status")), data.get("error"), data.get("delay_s")
    record.is_open = True


def _attempt(record: Record, data: Mapping[str, Any]) -> Try:
    """Return the try that `data` speaks of: the last one with its number, else the last, else a new one."""
    for attempt in reversed(record.tries):
        if attempt.data.get("attempt") == data.get("attempt"):
            return attempt
    if not record.tries:
        record.tries.append(Try({"attempt": data.get("attempt")}, ""))
    return record.tries[-1]


def _verified(history: History, data: Mapping[str, Any], ts: str) -> None:
    _attempt(_step(history, data), data).verified.append((ts, data))


def _finished(history: History, data: Mapping[str, Any], ts: str) -> None:
    record = _step(history, data)
    record.finished, record.finished_at, record.is_open = data, ts, False
    if record.tries:
        attempt = _attempt(record, data)
        if attempt.status is None:
            attempt.status, attempt.error = str(data.get("status")), data.get("error")


def _prompt_opened(history: History, data: Mapping[str, Any], ts: str) -> None:
    record = _step(history, data)
    record.asked.append(Asked(data, ts))
    if record.finished is not None:
        record.finished, record.is_open = None, True


def _prompt_answered(history: History, data: Mapping[str, Any], ts: str) -> None:
    asked = _step(history, data).asked
    if not asked or asked[-1].answer is not None:
        asked.append(Asked({}, ""))
    asked[-1].answer, asked[-1].answered = data, ts


def _interrupted(history: History, data: Mapping[str, Any], ts: str) -> None:
    history.interrupted = data
    history.events.append((ts, "run.interrupted", data))


def _resumed(history: History, data: Mapping[str, Any], ts: str) -> None:
    if history.interrupted is not None:  # what `finally` did after an interruption does not cover what comes now
        for record in history.records.values():
            if _is_in_finally(history, record):
                record.finished, record.is_open = None, False
    history.interrupted, history.finished = None, None
    history.resumes += 1
    _take_back(history, data)
    history.events.append((ts, "run.resumed", data))


def _take_back(history: History, data: Mapping[str, Any]) -> None:
    """Take back the ends that a waiver, or an age, made void."""
    waived = {str(each.get("step")): each for each in map(mapping, listed(data.get("waivers")))}
    repeated = set(filter(lambda each: isinstance(each, str), listed(data.get("repeat"))))
    for record in history.records.values():
        status = mapping(record.finished).get("status")
        if record.id in waived and record.finished is not None:
            record.finished = {**record.finished, "status": "waived", "reason": _waiver(waived[record.id])}
        elif _INSTANCE.sub("", record.id) in repeated or (waived and status in ("omitted", "cancelled")):
            record.finished, record.is_open = None, False


def _waiver(data: Mapping[str, Any]) -> str:
    given, signature = f"waived by {data.get('by')}: {data.get('reason')}", mapping(data.get("signature"))
    if signature:
        return f"{given} (signed by {signature.get('principal')} with {signature.get('key')})"
    return f"{given} (not signed)" if "signature" in data else given


def _is_in_finally(history: History, record: Record) -> bool:
    parts = _INSTANCE.sub("", record.id).split("/")
    above = ("/".join(parts[:count]) for count in range(1, min(len(parts), 40) + 1))
    return any(name in history.records and history.records[name].entry.get("section") == "finally" for name in above)


def _run_finished(history: History, data: Mapping[str, Any], ts: str) -> None:
    history.finished, history.finished_at = data, ts
    history.events.append((ts, "run.finished", data))


def _stopping(history: History, data: Mapping[str, Any], ts: str) -> None:
    history.events.append((ts, "run.stopping", data))


def _entered(history: History, data: Mapping[str, Any], ts: str) -> None:
    history.events.append((ts, "ledger.entered", data))


def _recovered(history: History, data: Mapping[str, Any], ts: str) -> None:
    history.events.append((ts, "journal.recovered", data))


_HANDLERS = {
    "run.opened": _opened,
    "ledger.entered": _entered,
    "step.expanded": _expanded,
    "step.started": _started,
    "step.retrying": _retrying,
    "step.polling": _retrying,
    "step.verified": _verified,
    "step.finished": _finished,
    "prompt.opened": _prompt_opened,
    "prompt.answered": _prompt_answered,
    "run.stopping": _stopping,
    "run.interrupted": _interrupted,
    "run.resumed": _resumed,
    "journal.recovered": _recovered,
    "run.finished": _run_finished,
}
