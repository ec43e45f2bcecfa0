"""Finds outputs with which a step's gates pass, or with which one is red, by trying plain values on the real gates."""

from __future__ import annotations

import copy
import dataclasses
import enum
import itertools
import typing
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from types import NoneType
from typing import Any

from jinja2 import nodes

from aurora.engine.expressions import Expression
from aurora.engine.functions import StepFunction
from aurora.engine.scopes import decide
from aurora.engine.spec import Gate
from aurora.engine.values import TypeMismatch, decode, encode, exposed
from aurora.testing.filling import blank, fields_of, is_union
from aurora.testing.outcomes import RehearsalError
from aurora.testing.reads import own_names

MOST_TRIES = 20_000

Path = tuple[str, ...]


class Search:
    """gates → which of them share an output → for each such group, the first values that give the wanted verdicts.

    others:  the names that the gates see besides the step's own outputs.
    start:   whole encoded outputs, tried first; what is in `fixed` stays as it is there.
    """

    def __init__(
        self,
        function: StepFunction,
        step: str,
        gates: Sequence[Gate],
        others: Mapping[str, Any],
        start: dict[str, Any] | None,
        fixed: frozenset[str],
    ) -> None:
        self._function, self._step, self._gates, self._others = function, step, gates, others
        self._start, self._fixed = start, fixed

    def passing(self) -> dict[str, Any] | None:
        """Return outputs with which every gate passes. Raises RehearsalError when no value that was tried does."""
        return self._solve(dict.fromkeys(range(len(self._gates)), "pass"))

    def red(self, check: str | int | None) -> dict[str, Any] | None:
        """Return outputs with which one gate is red and the others pass. Raises RehearsalError."""
        return self._solve(dict.fromkeys(range(len(self._gates)), "pass") | {self._index(check): "red"})

    def _index(self, check: str | int | None) -> int:
        texts = [gate.check.text for gate in self._gates]
        if check is None:
            blocking = [index for index, gate in enumerate(self._gates) if gate.severity == "blocking"]
            if blocking:
                return blocking[0]
        elif check in texts:
            return texts.index(str(check))
        elif isinstance(check, int) and 0 <= check < len(texts):
            return check
        wanted = "no blocking gate" if check is None else f"no gate {check!r}"
        raise RehearsalError(f"{self._step!r} has {wanted}; its gates: {texts or 'none'}.")

    def _solve(self, wanted: Mapping[int, str]) -> dict[str, Any] | None:
        found = copy.deepcopy(self._start)
        for group in self._groups():
            found = self._first(group, {index: wanted[index] for index in group}, found)
        return found

    def _groups(self) -> Iterator[list[int]]:
        """Yield the indexes of gates, those that share an output together."""
        left = list(range(len(self._gates)))
        while left:
            group = [left.pop(0)]
            roots = self._roots(group[0])
            while near := [index for index in left if roots & self._roots(index)]:
                group += near
                left = [index for index in left if index not in near]
                roots = roots.union(*map(self._roots, near))
            yield sorted(group)

    def _roots(self, index: int) -> set[str]:
        return {path[0] for path in self._own(self._gates[index].check)}

    def _own(self, check: Expression) -> list[Path]:
        return [path for path in own_names(check) if path[0] not in self._others and path[0] != "status"]

    def _first(
        self, group: list[int], wanted: Mapping[int, str], start: dict[str, Any] | None
    ) -> dict[str, Any] | None:
        checks = [self._gates[index].check for index in group]
        paths = dict.fromkeys(path for check in checks for path in self._own(check) if path[0] not in self._fixed)
        hints = {path: self._hint(path) for path in paths}
        values = [[_KEEP, *self._values(hint, checks)] for hint in hints.values()]
        for combination in itertools.islice(itertools.product(*values), MOST_TRIES):
            outputs = copy.deepcopy(start)
            for path, value in zip(hints, combination, strict=True):
                if value is not _KEEP:
                    _put(outputs, path, value)
            if all(self._verdict(index, outputs) == verdict for index, verdict in wanted.items()):
                return outputs
        raise RehearsalError(self._nothing_found(wanted))

    def _nothing_found(self, wanted: Mapping[int, str]) -> str:
        gates = "; ".join(f"{self._gates[index].check.text} ({verdict})" for index, verdict in wanted.items())
        return f"No outputs of {self._step!r} were found for: {gates}. Say them: outputs(…)."

    def _verdict(self, index: int, outputs: dict[str, Any] | None) -> str:
        try:
            own = {} if self._function.returns is None else exposed(decode(outputs, self._function.returns))
        except TypeMismatch:
            return "impossible"
        names = {**own, **self._others, "status": "passed"}
        return str(decide(self._gates[index], names, dry_run=False)["verdict"])

    def _hint(self, path: Path) -> Any:
        hint: Any = self._function.returns
        for part in path:
            if not (isinstance(hint, type) and dataclasses.is_dataclass(hint)):
                raise RehearsalError(f"{self._step!r}: {'.'.join(path)} is inside a {hint}. Say it: outputs(…).")
            hint = fields_of(hint).get(part, Any)
        return hint

    def _values(self, hint: Any, checks: Sequence[Expression]) -> list[Any]:
        """Return encoded values of a type worth trying: plain ones, and those that the gates themselves name."""
        named = [constant.value for check in checks for constant in check.tree.find_all(nodes.Const)]
        named += [check.tree.value for check in checks if isinstance(check.tree, nodes.Const)]
        for check in checks:
            named += check.named_values(self._others).values()
        return list(_candidates(hint, named))


_KEEP = object()
_NUMBERS = (0, 1, -1, 2, 10, 1000, 10**9, -(10**9))


def _candidates(hint: Any, named: Sequence[Any]) -> Iterator[Any]:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is bool:
        yield from (True, False)
    elif hint in (int, float, Decimal):
        near = [value + step for value in named if _is_number(value) for step in (0, 1, -1)]
        for number in [*near, *_NUMBERS]:
            yield str(number) if hint is Decimal else hint(number)
    elif hint is str:
        yield from ["", *(value for value in named if isinstance(value, str)), "x"]
    elif origin is typing.Literal:
        yield from inner
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        yield from map(encode, hint)
    elif is_union(hint):
        yield from (None for kind in inner if kind is NoneType)
        yield from itertools.chain.from_iterable(_candidates(kind, named) for kind in inner if kind is not NoneType)
    elif origin in (list, set, frozenset, tuple):
        yield from _lists(inner[0] if inner else Any, named)


def _lists(inner: Any, named: Sequence[Any]) -> Iterator[Any]:
    for value in named:
        if isinstance(value, list):
            yield encode(value)
    try:
        item = blank(inner)
    except TypeError:
        yield []
        return
    distinct = [candidate for candidate, _ in zip(_candidates(inner, named), range(3), strict=False)]
    yield from ([], [item], *([each] for each in distinct), [item, item], [item] * 3)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _put(outputs: Any, path: Path, value: Any) -> None:
    for part in path[:-1]:
        outputs = outputs[part]
    outputs[path[-1]] = copy.deepcopy(value)
