"""The evidence of a run: an in-toto Statement v1 over every file of its folder; a function of those files alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aurora.errors import RecordError
from aurora.evidence.confirmations import signer_of
from aurora.journal import Event, JournalText, read_journal

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:aurora:runbook-run:1"
FILE = "evidence.json"
SIGNATURE = "evidence.json.sig"

RESULTS = {
    "green": "PASSED",
    "amber": "WARNED",
    "red": "FAILED",
    "broken": "FAILED",
    "declined": "FAILED",
    "cancelled": "ABORTED",
}
"""What a run's outcome is in a statement (engine rule 8)."""

_AFTER = (FILE, SIGNATURE, "evidence.dsse.json", "inbox")
"""What comes beside the evidence, or speaks of it, and so can't be in it."""
_AMBER = ("waived",)


class DuplicateKey(ValueError):
    """A JSON object names a key twice, so that two readers could read two things."""


def build_statement(folder: Path, ledger: Mapping[str, Any]) -> bytes:
    """Return the statement of a finished run as the bytes to sign. `ledger` is the `seq` and `sha256` of its opening.

    Raises RecordError when the run is not finished, or a file's name can't stand in a list of digests.
    """
    text = read_journal(folder / "journal.jsonl")
    end = text.events[-1] if text.events else None
    if end is None or end.type != "run.finished" or text.torn:
        raise RecordError(f"The run {folder.name} is not finished; only a finished run is sealed.")
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": f"{folder.name}/{name}", "digest": digest_of(path)} for name, path in files_of(folder)],
        "predicateType": PREDICATE,
        "predicate": _predicate(folder, text, text.events[0].data, end, ledger),
    }
    return json.dumps(statement, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode() + b"\n"


def read_statement(raw: bytes) -> dict[str, Any]:
    """Return a statement's JSON. Raises ValueError when it is none, DuplicateKey when it can be read in two ways."""
    try:
        statement = json.loads(raw, object_pairs_hook=_unique)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if not isinstance(statement, dict) or statement.get("_type") != STATEMENT:
        raise ValueError("it is no in-toto statement")
    return statement


def subjects_of(raw: bytes) -> dict[str, str]:
    """Return the SHA-256 of each file that a statement speaks of, by its name. Raises ValueError."""
    try:
        return {str(each["name"]): str(each["digest"]["sha256"]) for each in read_statement(raw)["subject"]}
    except (KeyError, TypeError) as error:
        raise ValueError(f"its subjects can't be read: {error}") from error


def files_of(folder: Path) -> list[tuple[str, Path]]:
    """Return the files of a run that its evidence speaks of, by name, sorted.

    Links are not followed: what they point to is no part of the record. Raises RecordError for an unlistable name.
    """
    found = []
    for path in _walk(folder):
        if path.is_symlink() or not path.is_file():
            continue
        name = path.relative_to(folder).as_posix()
        if not name.isprintable() or "\\" in name:
            raise RecordError(
                f"A file of the run {folder.name} has a name that can't be listed: {name!r}.",
                means="a list of digests has one name a line; the run is not sealed",
                todo="give the file a plain name, then: invoke report " + folder.name,
            )
        found.append((name, path))
    return sorted(found)


def odd_of(folder: Path) -> list[str]:
    """Return the names of what lies in a run's folder and is no file: links, pipes; no evidence speaks of them."""
    odd = (path for path in _walk(folder) if path.is_symlink() or not (path.is_file() or path.is_dir()))
    return sorted(ascii(path.relative_to(folder).as_posix())[1:-1] for path in odd)


def digest_of(path: Path) -> dict[str, str]:
    """Return the digest of a file as a resource descriptor has it. Raises RecordError when it can't be read."""
    try:
        with path.open("rb") as file:
            return {"sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    except OSError as error:
        raise RecordError(f"{path} can't be read: {error.strerror}.", means="the run is not sealed") from error


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name in _AFTER or path.name.startswith(("review.", ".")):
            continue
        yield from path.rglob("*") if path.is_dir() and not path.is_symlink() else (path,)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise DuplicateKey("a key stands in it twice")
    return found


def _predicate(
    folder: Path, text: JournalText, opened: Mapping[str, Any], end: Event, ledger: Mapping[str, Any]
) -> dict[str, Any]:
    outcome = str(end.data["outcome"])
    code = opened["code"]
    inputs = [{"name": f"inputs/{each['name']}", "digest": {"sha256": each["sha256"]}} for each in opened["inputs"]]
    commit = [] if code is None else [
        {"name": "code", "digest": {"gitCommit": code["commit"]}, "annotations": {"dirty": code["dirty"]}}
    ]  # fmt: skip
    steps = list(_steps(text.events))
    return {
        "result": RESULTS.get(outcome, "FAILED"),
        "outcome": outcome,
        "exitCode": end.data["exit_code"],
        "runDefinition": {
            "runbook": opened["runbook"],
            "parameters": opened["params"],
            "profile": opened["profile"],
            "mode": opened["mode"],
            "venue": opened["venue"],
            "simulated": opened["simulated"],
            "dryRun": opened["dry_run"],
            "scripted": opened["answers"] is not None or _is_scripted(text.events),
            "resolvedDependencies": [*inputs, *commit],
        },
        "runDetails": {
            "engine": {"id": "aurora", "version": opened["versions"]},
            "metadata": {"invocationId": folder.name, "startedOn": text.events[0].ts, "finishedOn": end.ts},
            "operator": opened["operator"],
            "journal": {"events": len(text.events), "head": text.head},
            "ledger": dict(ledger),
        },
        "steps": steps,
        "runbooks": list(_inner_runs(text.events, opened, steps)),
        "confirmations": [
            {"step": event.data["step"], "accepted": event.data["accepted"], "by": event.data["by"],
             "source": event.data["source"], "answeredOn": event.ts, "journalSeq": event.seq, **signer_of(event.data)}
            for event in text.events if event.type == "prompt.answered"
        ],
    }  # fmt: skip


def _is_scripted(events: Sequence[Event]) -> bool:
    return any(event.type == "prompt.answered" and event.data.get("source") == "scripted" for event in events)


def _steps(events: Sequence[Event]) -> Iterator[dict[str, Any]]:
    """Yield each step as it ended last, in the order of those ends."""
    started: dict[str, str] = {}
    ended: dict[str, Event] = {}
    for event in events:
        if event.type == "step.started":
            started[event.data["step"]] = event.ts
        elif event.type == "step.finished":
            ended.pop(event.data["step"], None)
            ended[event.data["step"]] = event
    for step, event in ended.items():
        gates = [{name: gate[name] for name in ("check", "severity", "verdict")} for gate in event.data["gates"]]
        yield {
            "id": step,
            "status": event.data["status"],
            "startedOn": started.get(step),
            "finishedOn": event.ts,
            "gates": gates,
            "simulated": event.data["simulated"],
        }


def _inner_runs(
    events: Sequence[Event], opened: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Yield the sub-runbooks, each with its own outcome and parameters (engine rule 15)."""
    given = {event.data["step"]: event.data["with"] for event in events if event.type == "step.started"}
    ended = {step["id"]: step for step in steps}
    for entry in opened["plan"]:
        step = ended.get(entry["id"])
        if entry["kind"] == "runbook" and step is not None and step["status"] != "omitted":
            inner = [each for each in steps if each["id"].startswith(f"{entry['id']}/")]
            yield {
                "runbook": entry["runbook"],
                "id": entry["id"],
                "outcome": _inner_outcome(step, inner),
                "parameters": given.get(entry["id"], {}),
                "finishedOn": step["finishedOn"],
            }


def _inner_outcome(step: Mapping[str, Any], inner: Sequence[Mapping[str, Any]]) -> str:
    if step["status"] != "passed":
        return {"timed_out": "broken", "unknown": "broken"}.get(step["status"], str(step["status"]))
    return "amber" if any(map(_is_amber, [step, *inner])) else "green"


def _is_amber(step: Mapping[str, Any]) -> bool:
    undecided = step["simulated"] and step["status"] == "skipped"
    return undecided or step["status"] in _AMBER or any(gate["verdict"] != "pass" for gate in step["gates"])
