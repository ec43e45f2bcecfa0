"""Builds a Runbook from a document: what the schema found wrong is left out, what it can't say is found here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aurora.engine.document import Document, Key
from aurora.engine.expressions import Expression, ExpressionError, Template, parse_expression, parse_template
from aurora.engine.faults import Fault
from aurora.engine.params import declaration_problems, value_problem_of
from aurora.engine.spec import (
    Foreach,
    Gate,
    OnFailure,
    Param,
    Poll,
    Requirement,
    Retry,
    Runbook,
    Schedule,
    Step,
    seconds,
)

RESERVED_FLAGS = frozenset(
    "accept_changes answers collection command_timeout complete config debug dedupe dry dry_run echo file help hide"
    " json list list_depth list_format no_dedupe print_completion_script prompt_for_sudo_password pty quiet reason"
    " resume search_root settle step_by_step version waive warn_only write_pyc yes".split()
)
"""Flags of Aurora's commands and of invoke itself."""
RESERVED_NAMES = ("params", "profile", "steps", "run", "status", "item")
_KINDS = ("uses", "runbook", "confirm")
_GOES_WITH = {
    "with": ("uses", "runbook"),
    "checklist": ("confirm",),
    "retry": ("uses",),
    "timeout": ("uses", "confirm"),
    "foreach": ("uses",),
    "dry_run": ("uses",),
    "fresh": ("uses", "confirm"),
}
_PLAIN_TEXT = ("title", "confirm", "checklist")


def build_runbook(document: Document, stem: str) -> tuple[Runbook | None, list[Fault]]:
    """Return the runbook in `document`, and the faults that the schema can't say; `stem` is the file's name.

    Values at keys in `document.bad` are left out. None when nothing of it is a runbook.
    """
    if not isinstance(document.data, dict):
        return None, []
    builder = _Builder(document)
    return builder.runbook(stem), builder.faults


class _Builder:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.faults: list[Fault] = []
        self.incomplete = False
        self.damaged = {key[:length] for key in document.bad for length in range(len(key) + 1)}
        """Every key at which, or somewhere inside of which, a fault was found."""

    def fault(self, key: Key, message: str, hint: str = "", *, of_key: bool = False) -> None:
        self.faults.append(self.document.fault(key, message, hint, of_key=of_key))

    def sound(self, item: Mapping[str, Any], key: Key) -> dict[str, Any]:
        """Return the entries of a map in which no fault was found."""
        return {name: value for name, value in item.items() if (*key, name) not in self.damaged}

    def runbook(self, stem: str) -> Runbook:
        whole = self.document.data
        data = self.sound(whole, ())
        name = data.get("runbook", stem)
        if name != stem:
            message = f"the runbook is called {name!r}, its file {stem + '.yaml'!r}"
            self.fault(("runbook",), message, f"name the file {name}.yaml")
        self.plain_text(data, (), ("title",))
        seen: dict[str, Key] = {}
        params = self.params(whole.get("params"))
        steps, finally_ = self.steps("steps", seen), self.steps("finally", seen)
        return Runbook(
            name=name,
            title=data.get("title", name),
            document=self.document,
            params=params,
            requires=tuple(self.requires(whole.get("requires"), params)),
            steps=steps,
            finally_=finally_,
            lock=data.get("lock"),
            red_exit=data.get("red_exit"),
            schedule=self.schedule(whole.get("schedule"), params),
            incomplete=self.incomplete,
        )

    def requires(self, written: Any, params: Mapping[str, Param]) -> Iterator[Requirement]:
        for index, item in enumerate(written if isinstance(written, list) else ()):
            key: Key = ("requires", index)
            if key in self.damaged:
                continue
            for place, name in enumerate(item.get("same", ())):
                if name != "profile" and name not in params:
                    self.fault((*key, "same", place), f"there is no parameter {name!r}")
            within = item.get("within", "")
            self.duration(within or None, (*key, "within"))
            yield Requirement(item["runbook"], item.get("outcome", "green"), within, tuple(item.get("same", ())))

    def schedule(self, written: Any, params: Mapping[str, Param]) -> Schedule | None:
        if not isinstance(written, dict):
            return None
        from aurora.engine.schedule import build_schedule  # noqa: PLC0415 - few runbooks have one

        problems, schedule = build_schedule(self.sound(written, ("schedule",)), params)
        for key, message, hint in problems:
            self.fault(("schedule", *key), message, hint)
        return schedule

    # parameters

    def params(self, written: Any) -> dict[str, Param]:
        if not isinstance(written, dict):
            return {}
        found = {name: self.param(name, spec) for name, spec in written.items()}
        for name, param in found.items():
            if param.type == "boolean" and f"no_{name}" in found:
                hint = f"{param.flag} can be turned off with --no-{name.replace('_', '-')}"
                self.fault(("params", f"no_{name}"), f"the flag of 'no_{name}' is taken", hint, of_key=True)
        return found

    def param(self, name: str, spec: Any) -> Param:
        key: Key = ("params", name)
        if name in RESERVED_FLAGS:
            self.fault(
                key, f"the parameter {name!r} would hide a flag of the command line", "choose another name", of_key=True
            )
        if key in self.damaged:
            return Param(name, {}, required="default" not in spec if isinstance(spec, dict) else False)
        schema = {part: value for part, value in spec.items() if part not in ("default", "help")}
        problems = list(declaration_problems(schema))
        for word, problem in problems:
            self.fault((*key, *word.split(".")), problem, of_key=True)
        if "default" in spec and not problems and (problem := value_problem_of(spec["default"], schema)):
            self.fault((*key, "default"), f"the default of {name!r} {problem}")
        return Param(name, schema, spec.get("help", ""), "default" not in spec, spec.get("default"))

    # steps

    def steps(self, section: str, seen: dict[str, Key]) -> tuple[Step, ...]:
        written = self.document.data.get(section)
        steps = []
        for index, item in enumerate(written if isinstance(written, list) else ()):
            key: Key = (section, index)
            if not isinstance(item, dict) or "id" not in item or (*key, "id") in self.damaged:
                self.incomplete = True
                continue
            step = self.step(item, key)
            if step.id in seen:
                line = self.document.place((*seen[step.id], "id")).line
                self.fault((*key, "id"), f"the step {step.id!r} stands twice", f"the first is on line {line}")
            if step.id in RESERVED_NAMES:
                self.fault((*key, "id"), f"{step.id!r} is a reserved name")
            seen.setdefault(step.id, key)
            steps.append(step)
        return tuple(steps)

    def step(self, written: Mapping[str, Any], key: Key) -> Step:
        item = self.sound(written, key)
        damaged = frozenset(name for name in written if name not in item)
        if "needs" in damaged:
            self.incomplete = True
        kind = self.kind(item, written, key)
        self.plain_text(item, key, _PLAIN_TEXT)
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
            retry=self.retry(item.get("retry"), (*key, "retry")),
            timeout=self.positive(item, key, "timeout", "a timeout"),
            fresh=self.positive(item, key, "fresh", "how old a result may be"),
            foreach=self.foreach(item, key),
            on_failure=self.on_failure(item, key),
            dry_run=item.get("dry_run"),
            damaged=damaged,
        )

    def kind(self, item: Mapping[str, Any], written: Mapping[str, Any], key: Key) -> Any:
        kinds = [kind for kind in _KINDS if kind in written]
        if len(kinds) > 1:
            self.fault(
                (*key, kinds[1]),
                f"a step has one of uses, runbook and confirm; this one has {' and '.join(kinds)}",
                "make two steps of it",
                of_key=True,
            )
        if not kinds and "gate" not in written:
            unknown = any(name not in _STEP_WORDS for name in written)
            if not unknown:  # what was meant is told as an unknown key
                self.fault(key, f"the step {item['id']!r} does nothing", "give it uses, runbook, confirm or gate")
            return "gate"
        kind = kinds[0] if kinds else "gate"
        for word, allowed in _GOES_WITH.items():
            if word in item and kind not in allowed:
                message = f"{word!r} goes with {' or '.join(allowed)}, this step has {kind}"
                self.fault((*key, word), message, of_key=True)
        for word in ("as", "concurrency"):
            if word in item and "foreach" not in written:
                self.fault((*key, word), f"{word!r} goes with foreach", of_key=True)
        if item.get("as") in RESERVED_NAMES[:-1]:
            self.fault((*key, "as"), f"{item['as']!r} is a reserved name")
        return kind if kind in item or kind == "gate" else "gate"

    def plain_text(self, item: Mapping[str, Any], key: Key, words: tuple[str, ...]) -> None:
        """Refuse {{ }} where it would be shown as it stands."""
        for word in words:
            written = item.get(word)
            for index, text in enumerate(written if isinstance(written, list) else [written]):
                if isinstance(text, str) and "{{" in text:
                    here: Key = (*key, word, index) if isinstance(written, list) else (*key, word)
                    place = self.document.place_in(here, text, text.index("{{"))
                    self.faults.append(self.document.fault_at(place, f"{{{{ }}}} is not evaluated in {word!r}"))

    def condition(self, item: Mapping[str, Any], key: Key) -> Expression | None:
        if "if" not in item:
            return None
        written = item["if"]
        if written in (False, "false"):
            self.fault((*key, "if"), f"the step {item['id']!r} is never reached: it is always skipped", "take it out")
        return self.expression(written if isinstance(written, str) else str(written).lower(), (*key, "if"))

    def gates(self, item: Mapping[str, Any], key: Key) -> tuple[Gate, ...]:
        written = item.get("gate", [])
        many = isinstance(written, list)
        gates = []
        for index, one in enumerate(written if many else [written]):
            place: Key = (*key, "gate", index) if many else (*key, "gate")
            text, check_key = (one, place) if isinstance(one, str) else (one["check"], (*place, "check"))
            expression = self.expression(text, check_key)
            more = {} if isinstance(one, str) else one
            self.plain_text(more, place, ("message",))
            poll = self.poll(more.get("poll"), (*place, "poll"), item)
            if expression is not None:
                gates.append(Gate(expression, more.get("severity", "blocking"), more.get("message"), check_key, poll))
        return tuple(gates)

    def poll(self, written: Mapping[str, str] | None, key: Key, step: Mapping[str, Any]) -> Poll | None:
        if written is None:
            return None
        if "uses" not in step:
            self.fault(key, "only the gate of a step that 'uses' a function can wait for another answer", of_key=True)
        every, for_ = self.duration(written["every"], (*key, "every")), self.duration(written["for"], (*key, "for"))
        if every <= 0:
            self.fault((*key, "every"), "the wait between two calls is longer than nothing")
        elif for_ < every:
            self.fault((*key, "for"), f"it would never look again: {written['for']} is shorter than {written['every']}")
        return Poll(every, for_)

    def retry(self, item: Mapping[str, Any] | None, key: Key) -> Retry | None:
        if item is None:
            return None
        return Retry(
            item["max_attempts"],
            self.duration(item.get("delay", "1s"), (*key, "delay")),
            float(item.get("backoff", 1)),
            self.duration(item.get("max_delay", "5m"), (*key, "max_delay")),
            tuple(item.get("on", ())),
        )

    def positive(self, item: Mapping[str, Any], key: Key, word: str, what: str) -> float | None:
        """Return the duration under `word`, which must be longer than nothing; None when it is not said."""
        if word not in item:
            return None
        found = self.duration(item[word], (*key, word))
        if found <= 0:
            self.fault((*key, word), f"{what} is longer than nothing")
        return found

    def duration(self, text: str | None, key: Key) -> float:
        try:
            return 0.0 if text is None else seconds(text)
        except ValueError as error:
            self.fault(key, str(error))
            return 1.0

    def foreach(self, item: Mapping[str, Any], key: Key) -> Foreach | None:
        if "foreach" not in item:
            return None
        items = self.templates(item["foreach"], (*key, "foreach"))
        if isinstance(items, str) or (isinstance(items, Template) and items.lone is None):
            self.fault(
                (*key, "foreach"), "foreach needs a list", 'write foreach: "{{ params.symbols }}", or the list itself'
            )
        return Foreach(items, item.get("as", "item"), item.get("concurrency", 1))

    def on_failure(self, item: Mapping[str, Any], key: Key) -> OnFailure:
        written = item.get("on_failure", "abort")
        if isinstance(written, str):
            return OnFailure("continue" if written == "continue" else "abort")
        return OnFailure(
            "runbook", written["runbook"], self.templates(written.get("with", {}), (*key, "on_failure", "with"))
        )

    # expressions

    def expression(self, text: str, key: Key) -> Expression | None:
        try:
            return parse_expression(text)
        except ExpressionError as error:
            self.expression_fault(key, text, error)
            return None

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
            self.expression_fault(key, value, error)
            return Template(value, ())  # a value that nothing is known of
        return template if template.expressions else value

    def expression_fault(self, key: Key, text: str, error: ExpressionError) -> None:
        place = self.document.place_in(key, text, error.offset)
        self.faults.append(self.document.fault_at(place, str(error), error.hint))


_STEP_WORDS = frozenset(
    "id title uses runbook confirm checklist with needs if gate retry timeout fresh foreach as concurrency on_failure"
    " dry_run".split()
)
