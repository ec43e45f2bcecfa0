"""Reads runbooks: YAML, then the schema, then frozen values; what is wrong is a list of faults, never an exception."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aurora.engine.document import Document, Key, read_document
from aurora.engine.expressions import Expression, ExpressionError, Template, parse_expression, parse_template
from aurora.engine.faults import Fault
from aurora.engine.project import Project
from aurora.engine.schema import runbook_schema, schema_faults, value_problem
from aurora.engine.spec import (
    Foreach,
    Gate,
    OnFailure,
    Param,
    Requirement,
    Retry,
    Runbook,
    Step,
    seconds,
)

RESERVED_FLAGS = (
    "accept_changes",
    "answers",
    "collection",
    "config",
    "debug",
    "dry",
    "dry_run",
    "echo",
    "file",
    "help",
    "hide",
    "json",
    "list",
    "pty",
    "quiet",
    "resume",
    "search_root",
    "version",
    "warn_only",
    "write_pyc",
)
RESERVED_NAMES = ("params", "profile", "steps", "run", "status", "item")


@dataclass(frozen=True)
class Loaded:
    """A file as loaded: the runbook when its shape is right, and the faults found on the way."""

    path: Path
    document: Document
    runbook: Runbook | None
    faults: tuple[Fault, ...]

    @property
    def sha256(self) -> str:
        """Return the digest of the file's text."""
        return hashlib.sha256(self.document.text.encode()).hexdigest()


def load_file(project: Project, path: Path) -> Loaded:
    """Load the runbook in the file `path`."""
    document = read_document(path, project.shown(path))
    if document.faults:
        return Loaded(path, document, None, tuple(document.faults))
    faults = _SchemaPass(project).faults(document)
    if faults:
        return Loaded(path, document, None, tuple(faults))
    builder = _Builder(document)
    runbook = builder.runbook()
    if runbook.name != path.stem:
        builder.fault(
            ("runbook",),
            f"the runbook is called {runbook.name!r}, its file {path.name!r}",
            f"name the file {runbook.name}.yaml",
        )
    return Loaded(path, document, None if builder.faults else runbook, tuple(builder.faults))


class _SchemaPass:
    """The schema check, remembered by content: a text that passed once under this schema passes always."""

    def __init__(self, project: Project) -> None:
        self.folder = project.runs / ".cache" / "schema"

    def faults(self, document: Document) -> list[Fault]:
        schema = runbook_schema()
        stamp = self.folder / hashlib.sha256(f"{schema!r}\n{document.text}".encode()).hexdigest()
        if stamp.exists():
            return []
        faults = schema_faults(document, schema)
        if not faults:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                stamp.touch()
            except OSError:
                pass  # a cache that can't be written costs 75 ms, nothing else
        return faults


class _Builder:
    """Turns a document that satisfies the schema into a Runbook; collects faults that the schema can't say."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.faults: list[Fault] = []

    def fault(self, key: Key, message: str, hint: str = "", *, of_key: bool = False, offset: int = 0) -> None:
        self.faults.append(self.document.fault(key, message, hint, of_key=of_key, offset=offset))

    def runbook(self) -> Runbook:
        data = self.document.data
        seen: dict[str, Key] = {}
        return Runbook(
            name=data["runbook"],
            title=data.get("title", data["runbook"]),
            document=self.document,
            params={name: self.param(name, spec) for name, spec in data.get("params", {}).items()},
            requires=tuple(
                Requirement(
                    item["runbook"], item.get("outcome", "green"), item.get("within", ""), tuple(item.get("same", ()))
                )
                for item in data.get("requires", ())
            ),
            steps=self.steps("steps", seen),
            finally_=self.steps("finally", seen),
            lock=data.get("lock"),
            red_exit=data.get("red_exit"),
        )

    def param(self, name: str, spec: Mapping[str, Any]) -> Param:
        key: Key = ("params", name)
        if name in RESERVED_FLAGS:
            self.fault(
                key, f"the parameter {name!r} would hide a flag of the command line", "choose another name", of_key=True
            )
        schema = {part: value for part, value in spec.items() if part not in ("default", "help")}
        if "items" in spec and spec["type"] != "array":
            self.fault((*key, "items"), "'items' goes with type: array", of_key=True)
        if "default" in spec and (problem := value_problem_of(spec["default"], schema)):
            self.fault((*key, "default"), f"the default of {name!r} {problem}")
        return Param(name, schema, spec.get("help", ""), "default" not in spec, spec.get("default"))

    def steps(self, section: str, seen: dict[str, Key]) -> tuple[Step, ...]:
        steps = []
        for index, item in enumerate(self.document.data.get(section, ())):
            key: Key = (section, index)
            step = self.step(item, key)
            if step.id in seen:
                line = self.document.place((*seen[step.id], "id")).line
                self.fault((*key, "id"), f"the step {step.id!r} stands twice", f"the first is on line {line}")
            if step.id in RESERVED_NAMES:
                self.fault((*key, "id"), f"{step.id!r} is a reserved name")
            seen.setdefault(step.id, key)
            steps.append(step)
        return tuple(steps)

    def step(self, item: Mapping[str, Any], key: Key) -> Step:
        kinds = [kind for kind in ("uses", "runbook", "confirm") if kind in item]
        if len(kinds) > 1:
            self.fault(
                (*key, kinds[1]),
                f"a step has one of uses, runbook and confirm; this one has {' and '.join(kinds)}",
                "make two steps of it",
                of_key=True,
            )
        if not kinds and "gate" not in item:
            self.fault(key, f"the step {item['id']!r} does nothing", "give it uses, runbook, confirm or gate")
        kind: Any = kinds[0] if kinds else "gate"
        for word, allowed in _GOES_WITH.items():
            if word in item and kind not in allowed:
                self.fault(
                    (*key, word), f"{word!r} goes with {' or '.join(allowed)}, this step has {kind}", of_key=True
                )
        if "as" in item and "foreach" not in item:
            self.fault((*key, "as"), "'as' goes with foreach", of_key=True)
        if item.get("as") in ("params", "profile", "steps", "run"):
            self.fault((*key, "as"), f"{item['as']!r} is a reserved name")
        needs = item.get("needs")
        return Step(
            id=item["id"],
            kind=kind,
            key=key,
            title=item.get("title", "") or item.get("confirm", "") or item["id"].replace("_", " "),
            uses=item.get("uses"),
            runbook=item.get("runbook"),
            confirm=item.get("confirm"),
            checklist=tuple(item.get("checklist", ())),
            with_=self.templates(item.get("with", {}), (*key, "with")),
            needs=None if needs is None else tuple(needs),
            if_=self.condition(item, key),
            gates=self.gates(item, key),
            retry=self.retry(item.get("retry")),
            timeout=seconds(item["timeout"]) if "timeout" in item else None,
            foreach=self.foreach(item, key),
            on_failure=self.on_failure(item, key),
            dry_run=item.get("dry_run"),
        )

    def condition(self, item: Mapping[str, Any], key: Key) -> Expression | None:
        if "if" not in item:
            return None
        text = item["if"]
        return self.expression(text if isinstance(text, str) else str(text).lower(), (*key, "if"))

    def gates(self, item: Mapping[str, Any], key: Key) -> tuple[Gate, ...]:
        if "gate" not in item:
            return ()
        written = item["gate"]
        many = isinstance(written, list)
        gates = []
        for index, one in enumerate(written if many else [written]):
            place: Key = (*key, "gate", index) if many else (*key, "gate")
            text, check_key = (one, place) if isinstance(one, str) else (one["check"], (*place, "check"))
            expression = self.expression(text, check_key)
            if expression is None:
                continue
            more = {} if isinstance(one, str) else one
            gates.append(Gate(expression, more.get("severity", "blocking"), more.get("message"), check_key))
        return tuple(gates)

    def expression(self, text: str, key: Key) -> Expression | None:
        try:
            return parse_expression(text)
        except ExpressionError as error:
            self.fault(key, str(error), error.hint, offset=self.offset(key, error.offset))
            return None

    def offset(self, key: Key, offset: int) -> int:
        """Return how far right of a scalar's start its character `offset` stands (quotes count; many lines do not)."""
        place = self.document.place(key)
        line = self.document.lines[place.line - 1][place.column - 1 :]
        return offset + 1 if line[:1] in "\"'" else (offset if line[:1] not in "|>" else 0)

    def templates(self, value: Any, key: Key) -> Any:
        """Return `value` with each text that holds `{{ }}` as a Template, at any depth."""
        if isinstance(value, dict):
            return {name: self.templates(item, (*key, name)) for name, item in value.items()}
        if isinstance(value, list):
            return [self.templates(item, (*key, index)) for index, item in enumerate(value)]
        if not isinstance(value, str) or "{" not in value:
            return value
        try:
            template = parse_template(value)
        except ExpressionError as error:
            self.fault(key, str(error), error.hint, offset=self.offset(key, error.offset))
            return value
        return template if template.expressions else value

    def retry(self, item: Mapping[str, Any] | None) -> Retry | None:
        if item is None:
            return None
        return Retry(
            item["max_attempts"],
            seconds(item.get("delay", "1s")),
            float(item.get("backoff", 1)),
            seconds(item.get("max_delay", "5m")),
            tuple(item.get("on", ())),
        )

    def foreach(self, item: Mapping[str, Any], key: Key) -> Foreach | None:
        if "foreach" not in item:
            return None
        items = self.templates(item["foreach"], (*key, "foreach"))
        if isinstance(items, str) or (isinstance(items, Template) and len(items.parts) != 1):
            self.fault(
                (*key, "foreach"), "foreach needs a list", 'write foreach: "{{ params.symbols }}", or the list itself'
            )
        return Foreach(items, item.get("as", "item"))

    def on_failure(self, item: Mapping[str, Any], key: Key) -> OnFailure:
        written = item.get("on_failure", "abort")
        if isinstance(written, str):
            return OnFailure("continue" if written == "continue" else "abort")
        return OnFailure(
            "runbook", written["runbook"], self.templates(written.get("with", {}), (*key, "on_failure", "with"))
        )


_GOES_WITH = {
    "with": ("uses", "runbook"),
    "checklist": ("confirm",),
    "retry": ("uses",),
    "timeout": ("uses", "confirm"),
    "foreach": ("uses",),
    "dry_run": ("uses",),
}


def value_problem_of(value: Any, schema: Mapping[str, Any]) -> str:
    """Return why `value` does not satisfy a parameter's schema, in words; plain cases need no JSON Schema library."""
    expected = {"string": str, "integer": int, "boolean": bool, "array": list}.get(str(schema.get("type")))
    plain = set(schema) <= {"type", "items"} and expected is not None
    if plain and type(value) is expected:
        items = schema.get("items")
        if not isinstance(value, list) or items is None or items == {"type": "string"}:
            if not isinstance(value, list) or all(isinstance(item, str) for item in value) or items is None:
                return ""
    return value_problem(value, schema)
