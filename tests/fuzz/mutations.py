"""Mutants of runbooks and profiles: what a slip of the hand, a bad merge or a hostile editor makes of a file."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import yaml

from aurora.engine.document import parse_document

Path = tuple[str | int, ...]

ODD = [
    "\x00", "\x07", "\x1b[31m", "\x1b]0;owned\x07", "\x7f", "\x85", "\u00a0", "\u200b", "\u202e", "\u2028", "\ufeff",
    "\ufffe", "\U000e0041", "\U0001f680", "e\u0301", "\u0661", "\t", "\r", "\r\n", "'", '"', "\\", "%", "@", "`", "|",
    ">", "-", "? ", ": ", ", ", "#", "!!python/object:os.system ", "!%1b[31m ", "&a ", "*a ", "<<: *a\n", "---\n",
    "...\n", "{{", "}}", "{%", "{{ params.x }}", "{", "}", "[", "]", "~", "0x1f", "1e999", "1e-999", "0o17", ".nan",
    "-.inf", "9" * 400, "1_000", "12:30:45", "2026-01-01", "no", "=", "<<",
]  # fmt: skip
BARE: list[Any] = [
    None, True, False, 0, -1, 10**30, Decimal("0.1"), Decimal("1e50"), "", " ", "x", "no", "null", "{{ x }}", "{{ 1 }}",
    "{{ params.symbols }}", "x" * 2_000, "\u202egreen", [], {}, [None], [[]], {"": 1}, {"x": {"y": []}}, ["a", "a"],
    "true", "1 == 1", "a < b", "1 // 0", "(" * 300, "profile.nothing", "steps.live.status", "params['x']", "30s", "-1s",
]  # fmt: skip
OPERATORS = ["==", "!=", "<", "<=", ">", ">=", " and ", " or ", " in ", " not in ", "not ", "+", "*", "//", "%", "-"]


def mutant(seed: int, raw: bytes) -> bytes:
    """Return `raw` with one to three mutations, the same ones for the same seed."""
    rng = random.Random(seed)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        change = rng.choice([_of_text, _of_structure])
        raw = change(rng, raw)
    return raw


# The text: lines, characters, indentation, encoding.


def _of_text(rng: random.Random, raw: bytes) -> bytes:
    lines = raw.decode("utf-8", "surrogateescape").splitlines(keepends=True) or [""]
    rng.choice(TEXT)(rng, lines)
    return "".join(lines).encode("utf-8", "surrogateescape")


def _delete_lines(rng: random.Random, lines: list[str]) -> None:
    at = rng.randrange(len(lines))
    del lines[at : at + rng.choice([1, 1, 1, 4])]


def _duplicate_line(rng: random.Random, lines: list[str]) -> None:
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))


def _swap_lines(rng: random.Random, lines: list[str]) -> None:
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]


def _truncate(rng: random.Random, lines: list[str]) -> None:
    at = rng.randrange(len(lines))
    lines[at:] = [lines[at][: rng.randrange(len(lines[at]) + 1)]]


def _indent(rng: random.Random, lines: list[str]) -> None:
    at = rng.randrange(len(lines))
    lines[at] = rng.choice([" ", "  ", "\t", "    "]) + lines[at] if rng.random() < 0.5 else lines[at].lstrip()


def _flip_character(rng: random.Random, lines: list[str]) -> None:
    at = rng.randrange(len(lines))
    if lines[at]:
        column = rng.randrange(len(lines[at]))
        lines[at] = lines[at][:column] + chr(rng.randrange(32, 127)) + lines[at][column + 1 :]


def _insert(rng: random.Random, lines: list[str]) -> None:
    at = rng.randrange(len(lines))
    column = rng.randrange(len(lines[at]) + 1)
    lines[at] = lines[at][:column] + rng.choice(ODD) + lines[at][column:]


def _bad_bytes(rng: random.Random, lines: list[str]) -> None:
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(["\udcff\udcfe", "\udcc3", "\udced\udca0\udc80"]))


def _line_ends(rng: random.Random, lines: list[str]) -> None:
    end = rng.choice(["\r\n", "\r", "\u2028", "\n\n"])
    lines[:] = [line.removesuffix("\n") + end for line in lines]


def _byte_order_mark(rng: random.Random, lines: list[str]) -> None:
    lines[0] = "\ufeff" * rng.choice([1, 2]) + lines[0]


def _merge_key(rng: random.Random, lines: list[str]) -> None:
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(["base: &a {x: 1}\n", "<<: *a\n", "<<: {title: x}\n"]))


def _number(rng: random.Random, lines: list[str]) -> None:
    spots = [(at, column) for at, line in enumerate(lines) for column, each in enumerate(line) if each.isdigit()]
    if spots:
        at, column = rng.choice(spots)
        new = rng.choice(["0", "-1", "9" * 70, "1e60", "1e61", "0x10", "010", ".5", "1_0", "\u0663", "NaN"])
        lines[at] = lines[at][:column] + new + lines[at][column + 1 :]


def _operator(rng: random.Random, lines: list[str]) -> None:
    at, old = rng.randrange(len(lines)), rng.choice(OPERATORS)
    with_operators = [number for number, line in enumerate(lines) if old in line]
    at = rng.choice(with_operators) if with_operators else at
    lines[at] = lines[at].replace(old, rng.choice(OPERATORS), 1)


def _comment(rng: random.Random, lines: list[str]) -> None:
    lines.insert(rng.randrange(len(lines) + 1), "# a remark\n")


TEXT: list[Callable[[random.Random, list[str]], None]] = [
    _delete_lines, _duplicate_line, _swap_lines, _truncate, _indent, _flip_character, _insert, _insert, _bad_bytes,
    _line_ends, _byte_order_mark, _merge_key, _number, _operator, _operator, _comment,
]  # fmt: skip


# The structure: keys, values, types, steps, gates. What YAML can't read is left to the mutations of text.


def _of_structure(rng: random.Random, raw: bytes) -> bytes:
    document = parse_document(raw, "mutant.yaml")
    if document.faults or not isinstance(document.data, dict) or not document.data:
        return _of_text(rng, raw)
    rng.choice(STRUCTURE)(rng, document.data)
    return dumped(document.data)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    Decimal, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:float", str(value).lower())
)


def dumped(data: Any) -> bytes:
    """Return plain data as YAML text."""
    return bytes(yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000, encoding="utf-8"))


def _places(value: Any, path: Path = ()) -> Iterator[tuple[Any, str | int, Path]]:
    """Yield the container, key and path of every value inside `value`."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(pairs):
        yield value, key, (*path, key)
        yield from _places(inner, (*path, key))


def _place(rng: random.Random, data: dict[str, Any]) -> tuple[Any, Any]:
    container, key, _ = rng.choice(list(_places(data)))
    return container, key


def _remove(rng: random.Random, data: dict[str, Any]) -> None:
    container, key = _place(rng, data)
    del container[key]


def _replace(rng: random.Random, data: dict[str, Any]) -> None:
    container, key = _place(rng, data)
    container[key] = rng.choice(BARE)


def _retype(rng: random.Random, data: dict[str, Any]) -> None:
    container, key = _place(rng, data)
    value = container[key]
    container[key] = rng.choice([[value], {"x": value}, str(value), [value, value], {str(value)[:100]: value}])


def _transplant(rng: random.Random, data: dict[str, Any]) -> None:
    container, key = _place(rng, data)
    source, from_key = _place(rng, data)
    value = copy.deepcopy(source[from_key])
    container[key] = value


def _rename_key(rng: random.Random, data: dict[str, Any]) -> None:
    maps = [data, *(box[key] for box, key, _ in _places(data) if isinstance(box[key], dict) and box[key])]
    box = rng.choice(maps)
    key = rng.choice(list(box))
    new = rng.choice([f"{key}s", key[:-1], key.upper(), "", "steps", "if", "gate", "x" * 300, "a.b", "\u202e" + key])
    items = [(new if name == key else name, value) for name, value in box.items()]
    box.clear()
    box.update(items)


def _steps(data: dict[str, Any]) -> list[dict[str, Any]]:
    sections = [data.get("steps"), data.get("finally")]
    return [step for section in sections if isinstance(section, list) for step in section if isinstance(step, dict)]


def _on_a_step(change: Callable[[random.Random, dict[str, Any], list[dict[str, Any]]], None]) -> Any:
    """Return a mutation of one step; a file without steps has a value replaced."""

    def mutate(rng: random.Random, data: dict[str, Any]) -> None:
        steps = _steps(data)
        if steps:
            change(rng, rng.choice(steps), steps)
        else:
            _replace(rng, data)

    return mutate


def _drop_step(rng: random.Random, data: dict[str, Any]) -> None:
    section = data.get(rng.choice(["steps", "steps", "finally"]))
    if isinstance(section, list) and section:
        del section[rng.randrange(len(section))]
    else:
        _remove(rng, data)


@_on_a_step
def _swap_ids(rng: random.Random, step: dict[str, Any], steps: list[dict[str, Any]]) -> None:
    other = rng.choice(steps)
    step["id"], other["id"] = other.get("id"), step.get("id")


@_on_a_step
def _needs(rng: random.Random, step: dict[str, Any], steps: list[dict[str, Any]]) -> None:
    ids = [other.get("id") for other in steps] + ["nowhere", None, 1, "eod/rollup"]
    step["needs"] = [rng.choice(ids) for _ in range(rng.randrange(3))]


@_on_a_step
def _failure(rng: random.Random, step: dict[str, Any], steps: list[dict[str, Any]]) -> None:
    step["on_failure"] = rng.choice(["continue", "stop", "skip", 1, {"runbook": "eod"}, {"runbook": "nothing"}, []])


@_on_a_step
def _more(rng: random.Random, step: dict[str, Any], steps: list[dict[str, Any]]) -> None:
    key, value = rng.choice(
        [("if", "true"), ("if", "1"), ("if", "params.profile == 'sim'"), ("dry_run", "simulate"), ("dry_run", "skip"),
         ("foreach", "{{ params.symbols }}"), ("foreach", [1, 2]), ("timeout", "0s"), ("timeout", "9999999999d"),
         ("retry", {"max_attempts": 3}), ("retry", {"max_attempts": 10**9}), ("confirm", "T-0 checks"), ("lock", "x"),
         ("checklist", []), ("runbook", "go-live"), ("uses", "os.system"), ("uses", "steps.session.live"),
         ("uses", "session:live"), ("uses", ":"), ("uses", "."), ("uses", "a..b"), ("with", {"profile": "base"})]
    )  # fmt: skip
    step[key] = value


@_on_a_step
def _loosen_gate(rng: random.Random, step: dict[str, Any], steps: list[dict[str, Any]]) -> None:
    gates = step.get("gate")
    gates = gates if isinstance(gates, list) else [gates] if gates is not None else []
    if not gates:
        step["gate"] = rng.choice(["true", "1 == 1", [], "flat", {"check": "true", "severity": "advisory"}])
        return
    at = rng.randrange(len(gates))
    check = gates[at].get("check") if isinstance(gates[at], dict) else gates[at]
    gates[at] = rng.choice([
        {"check": check, "severity": "advisory"},
        {"check": f"({check}) or true"},
        f"not ({check})",
        str(check).replace("<", ">"),
        str(check).replace("==", "!="),
    ])  # fmt: skip
    if rng.random() < 0.3:
        del gates[at]
    step["gate"] = gates


STRUCTURE: list[Callable[[random.Random, dict[str, Any]], None]] = [
    _remove, _remove, _replace, _replace, _retype, _transplant, _rename_key, _drop_step, _swap_ids, _needs, _failure,
    _more, _loosen_gate, _loosen_gate,
]  # fmt: skip
