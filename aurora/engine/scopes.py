"""What expressions see: parameters, profile, finished steps and the run itself, for each scope of a plan."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aurora.engine.expressions import ExpressionError, Template
from aurora.engine.functions import StepFunction
from aurora.engine.graph import Node, Plan, Scope
from aurora.engine.spec import Gate
from aurora.engine.state import RunState
from aurora.engine.values import Namespace, TypeMismatch, convert, decode, encode, exposed, holds_nan, shown
from aurora.errors import AuroraError
from aurora.profile import Profile


class _Steps(Namespace):
    """`steps.…` of one scope: each step's outputs are decoded when first named, not before."""

    __slots__ = ("_scope", "_scopes")

    def __init__(self, scopes: Scopes, scope: Scope) -> None:
        super().__init__({})
        self._scopes = scopes
        self._scope = scope

    def __getitem__(self, key: str) -> Any:
        node_id = self._scope.prefix + key
        if node_id not in self._scopes.plan.nodes:
            raise KeyError(key)
        return self._scopes.outputs(node_id)

    def __iter__(self) -> Iterator[str]:
        return (node_id.removeprefix(self._scope.prefix) for node_id in self._scope.nodes)

    def __len__(self) -> int:
        return len(self._scope.nodes)


class Scopes:
    """Builds the names of each scope from the run's state; the same before and after a resume (engine rule 5)."""

    def __init__(
        self,
        plan: Plan,
        state: RunState,
        functions: Mapping[str, StepFunction],
        params: Mapping[str, Any],
        load: Callable[[str], Profile],
    ) -> None:
        self.plan = plan
        self._state = state
        self._functions = functions
        self._root_params = params
        self._load = load
        self._params: dict[Scope, Namespace] = {}
        self._profiles: dict[Scope, Profile] = {}
        self._exposed_profiles: dict[str, Namespace] = {}
        self._outputs: dict[str, Namespace] = {}
        opened = state.opened
        self._run = Namespace(
            {
                "id": opened["run"],
                "runbook": opened["runbook"],
                "started": state.opened_at,
                "dry_run": opened["dry_run"],
                "mode": opened["mode"],
                "venue": opened["venue"],
            }
        )

    def names(self, node: Node, own: Mapping[str, Any] | None = None, item: Any = None) -> dict[str, Any]:
        """Return the root names for the expressions of `node`; `own` are its outputs, for its gate."""
        scope = node.scope
        profile = self.profile(scope)
        if profile.digest not in self._exposed_profiles:
            self._exposed_profiles[profile.digest] = exposed(profile)
        names: dict[str, Any] = dict(own or {})
        if node.step.foreach is not None:
            names[node.step.foreach.as_] = exposed(item)
        names.update(
            params=self.params(scope),
            profile=self._exposed_profiles[profile.digest],
            steps=_Steps(self, scope),
            run=self._run,
        )
        return names

    def params(self, scope: Scope) -> Namespace:
        """Return the parameters of a scope: defaults, under what its container was started with."""
        if scope not in self._params:
            self._params[scope] = exposed(self.plain_params(scope))
        return self._params[scope]

    def plain_params(self, scope: Scope) -> dict[str, Any]:
        """Return the parameters of a scope as plain values."""
        given = self._root_params if scope.container is None else self._state.step(scope.container).arguments
        values = {}
        for param in scope.runbook.params.values():
            value = given.get(param.name, param.default)
            values[param.name] = None if value is None else decode(value, param.python_type)
        return values

    def profile(self, scope: Scope) -> Profile:
        """Return the profile of a scope; a sub-runbook that is not given one goes on with the one around it."""
        if scope not in self._profiles:
            name = self.plain_params(scope).get("profile") if "profile" in scope.runbook.params else None
            given = scope.container is None or "profile" in self._state.step(scope.container).arguments
            if scope.parent is not None and (name is None or not given):
                self._profiles[scope] = self.profile(scope.parent)
            else:
                self._profiles[scope] = self._load(str(name) if name is not None else "")
        return self._profiles[scope]

    def require_profile(self, name: str) -> None:
        """Raise TypeMismatch when a sub-runbook can't be given the profile `name`."""
        try:
            self._load(name)
        except AuroraError as error:
            raise TypeMismatch(error.what) from error

    def outputs(self, node_id: str) -> Namespace:
        """Return what expressions see of a step: its outputs and its status; of a sub-runbook: its steps."""
        state = self._state.step(node_id)
        if node_id in self._outputs and state.over:
            return self._outputs[node_id]
        node = self.plan.nodes[node_id]
        values: dict[str, Any] = {}
        if node.step.kind == "runbook":
            scope = self.plan.scopes[node_id]
            values = {other.removeprefix(scope.prefix): self.outputs(other) for other in scope.nodes}
        elif node.step.foreach is not None:
            with contextlib.suppress(TypeMismatch):
                values = {"items": [self.decoded(node, each) for each in (state.outputs or {}).get("items", [])]}
        elif state.outputs is not None:
            with contextlib.suppress(TypeMismatch):  # the code has changed since, and a person accepted that: not there
                values = dict(self.decoded(node, state.outputs))
        found = Namespace({**values, "status": state.status})
        if state.over:
            self._outputs[node_id] = found
        return found

    def decoded(self, node: Node, outputs: Any) -> Namespace:
        """Return encoded outputs of a step, decoded by its function's return type, as expressions see them."""
        function = self._functions.get(node.step.uses or "")
        if outputs is None or function is None or function.returns is None:
            return Namespace({})
        found: Namespace = exposed(decode(outputs, function.returns))
        return found


def evaluate(value: Any, names: Mapping[str, Any]) -> Any:
    """Return `value` with every template in it evaluated. Raises ExpressionError."""
    if isinstance(value, Template):
        try:
            return value.evaluate(names)
        except ExpressionError as error:
            raise ExpressionError(f"{value.text}: {error}") from error
    if isinstance(value, Mapping):
        return {name: evaluate(item, names) for name, item in value.items()}
    if isinstance(value, list):
        return [evaluate(item, names) for item in value]
    return value


def decide(gate: Gate, names: Mapping[str, Any], *, dry_run: bool) -> dict[str, Any]:
    """Return the verdict on one gate with the values of its names; anything but an exact `true` is red (rule 4).

    In a dry run a name that is not there makes the verdict `unknown`: a step before it did not run.
    """
    expression = gate.check
    values = expression.named_values(names)
    verdict, error = "red", None
    nan = next((name for name, value in values.items() if holds_nan(value)), None)
    if nan is not None:
        error = f"{nan} holds a NaN (not a number)"
    else:
        try:
            result = expression.evaluate(names)
        except ExpressionError as problem:
            error = str(problem)
            verdict = "unknown" if dry_run else "red"
        else:
            if result is True:
                verdict = "pass"
            elif result is not False:
                error = f"the gate yielded {shown(result, 80)}, not true or false"
    return {
        "check": expression.text,
        "severity": gate.severity,
        "verdict": verdict,
        "values": {name: shown(value) for name, value in values.items()},
        "message": gate.message,
        "error": error,
    }


def encoded_arguments(values: Mapping[str, Any], function: StepFunction) -> dict[str, Any]:
    """Return evaluated `with` values, made to the function's hints and encoded. Raises TypeMismatch with the name."""
    encoded = {}
    for name, value in values.items():
        plain = value.plain() if isinstance(value, Namespace) else value
        try:
            encoded[name] = encode(convert(plain, function.arguments[name].hint))
        except TypeMismatch as error:
            raise TypeMismatch(f"{name!r} of {function.uses}: {error}") from error
    return encoded
