"""Finds step functions: what `uses` names, imported, with its declaration, arguments and return type."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import inspect
import sys
import traceback
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aurora.engine.context import Context
from aurora.engine.faults import did_you_mean, listed
from aurora.engine.kinds import uncarried
from aurora.engine.registry import StepInfo, step_info
from aurora.engine.values import TypeMismatch, encode

STATUS = "status"
"""What each step has beside its outputs; no output may be called that."""


@dataclass(frozen=True)
class Argument:
    """One argument of a step function: its type hint and whether `with` must give it."""

    hint: Any
    required: bool


@dataclass(frozen=True)
class StepFunction:
    """A step function as the engine sees it. `returns` is a dataclass, or None for a function that returns nothing."""

    uses: str
    function: Callable[..., Any]
    info: StepInfo
    arguments: Mapping[str, Argument]
    wants_context: bool
    returns: type | None

    def output_hints(self) -> Mapping[str, Any]:
        """Return the outputs' names and type hints."""
        return {} if self.returns is None else _hints(self.returns)


class NoSuchStep(Exception):
    """`uses` names no usable step function; the message says why, `hint` what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def split_uses(uses: str) -> tuple[str, str]:
    """Return module and attribute: `session.paper` lies in the project's steps, `package.module:function` anywhere."""
    if ":" in uses:
        module, _, name = uses.partition(":")
        return module, name
    module, _, name = uses.rpartition(".")
    return f"steps.{module}", name


def bind_steps(root: Path) -> None:
    """Make `steps` mean the folder `steps/` of the project at `root`, whatever else on the path has that name."""
    text = str(root)
    sys.path[:] = [text, *(entry for entry in sys.path if entry != text)]
    folder = root / "steps"
    bound = sys.modules.get("steps")
    if bound is not None and list(getattr(bound, "__path__", ())) == [str(folder)]:
        return
    for name in [name for name in sys.modules if name == "steps" or name.startswith("steps.")]:
        del sys.modules[name]
    package = types.ModuleType("steps")
    package.__path__ = [str(folder)]
    package.__package__ = "steps"
    sys.modules["steps"] = package


class FunctionTable:
    """Step functions by `uses`, each looked up once."""

    def __init__(self, root: Path) -> None:
        bind_steps(root)
        self.root = root
        self._found: dict[str, StepFunction | NoSuchStep] = {}

    def find(self, uses: str) -> StepFunction:
        """Return the step function that `uses` names. Raises NoSuchStep."""
        if uses not in self._found:
            try:
                self._found[uses] = self._find(uses)
            except NoSuchStep as error:
                self._found[uses] = error
        found = self._found[uses]
        if isinstance(found, NoSuchStep):
            raise found
        return found

    def _find(self, uses: str) -> StepFunction:
        module_name, name = split_uses(uses)
        module = self._module(module_name)
        function = getattr(module, name, None)
        steps = sorted(key for key, value in vars(module).items() if callable(value) and step_info(value))
        if function is None:
            raise NoSuchStep(
                f"{module_name} has no function {name!r}", did_you_mean(name, steps) or f"it has: {listed(steps)}"
            )
        info = step_info(function) if callable(function) else None
        if info is None:
            raise NoSuchStep(f"{module_name}.{name} is not a step", "put @step(…) from aurora.engine.registry on it")
        return _describe(uses, function, info)

    def _module(self, name: str) -> Any:
        try:
            with contextlib.redirect_stdout(sys.stderr):  # standard output may be read by a program
                return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
                raise NoSuchStep(f"there is no module {name}", self._nearest_module(name)) from error
            raise NoSuchStep(_import_failure(name, error, self.root)) from error
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise NoSuchStep(_import_failure(name, error, self.root)) from error

    def _nearest_module(self, name: str) -> str:
        if not name.startswith("steps."):
            return "is the package installed?"
        if name.startswith("steps.steps."):
            return f"leave out the first 'steps.': {name.removeprefix('steps.steps.')}.…"
        known = [path.stem for path in (self.root / "steps").glob("*.py") if not path.stem.startswith("_")]
        return did_you_mean(name.removeprefix("steps."), known) or f"steps/ has: {listed(sorted(known)) or 'nothing'}"


def _import_failure(name: str, error: BaseException, root: Path) -> str:
    if isinstance(error, SyntaxError):
        return f"{name} does not import: {error.msg} ({_shown(error.filename or '?', root)}:{error.lineno})"
    where = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if Path(frame.filename).is_relative_to(root):
            where = f" ({_shown(frame.filename, root)}:{frame.lineno})"
    text = str(error).splitlines()[0][:300] if str(error) else ""
    return f"{name} does not import: {type(error).__name__}{': ' + text if text else ''}{where}"


def _shown(file: str, root: Path) -> str:
    path = Path(file)
    return str(path.relative_to(root)) if path.is_relative_to(root) else path.name


@functools.cache
def _hints(thing: Any) -> Mapping[str, Any]:
    hints = typing.get_type_hints(thing)
    if dataclasses.is_dataclass(thing):
        return {field.name: hints.get(field.name, Any) for field in dataclasses.fields(thing)}
    return hints


def _describe(uses: str, function: Callable[..., Any], info: StepInfo) -> StepFunction:
    bare = inspect.unwrap(function)
    if not inspect.isfunction(bare) or inspect.iscoroutinefunction(bare) or inspect.isgeneratorfunction(bare):
        raise NoSuchStep(f"{uses} is no plain function", "a step is a def that returns its result")
    try:
        hints = _hints(function)
    except (NameError, TypeError, AttributeError) as error:
        raise NoSuchStep(
            f"the type hints of {uses} can't be read: {error}", "import what they name at the module's top"
        ) from error
    arguments: dict[str, Argument] = {}
    wants_context = False
    for number, parameter in enumerate(inspect.signature(function).parameters.values()):
        hint = hints.get(parameter.name, Any)
        if number == 0 and (hint is Context or typing.get_origin(hint) is Context):
            wants_context = True
        elif parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise NoSuchStep(f"{uses} takes {parameter}, which 'with' can't name", "give it plain named arguments")
        elif problem := uncarried(hint):
            raise NoSuchStep(f"the argument {parameter.name!r} of {uses}: {problem}", "use plain data, or a dataclass")
        else:
            arguments[parameter.name] = Argument(hint, parameter.default is parameter.empty)
    if "return" not in hints:
        raise NoSuchStep(f"{uses} does not say what it returns", "write -> None, or -> and a dataclass")
    returns = None if hints["return"] is type(None) else hints["return"]
    found = StepFunction(uses, function, info, arguments, wants_context, returns)
    _check_outputs(found)
    _check_declaration(found)
    return found


def _check_outputs(step: StepFunction) -> None:
    returns = step.returns
    if returns is None:
        return
    if not (inspect.isclass(returns) and dataclasses.is_dataclass(returns)):
        raise NoSuchStep(
            f"{step.uses} returns {returns}; a step returns a dataclass, or None",
            "its fields are the names that gates and templates use",
        )
    try:
        hints = _hints(returns)
    except (NameError, TypeError, AttributeError) as error:
        raise NoSuchStep(f"the type hints of {returns.__name__} can't be read: {error}") from error
    if STATUS in hints:
        raise NoSuchStep(f"{step.uses} has an output {STATUS!r}, a reserved name", "call the field something else")
    for name, hint in hints.items():
        if problem := uncarried(hint):
            raise NoSuchStep(f"the output {name!r} of {step.uses}: {problem}", "use plain data, or a dataclass")


def _check_declaration(step: StepFunction) -> None:
    """Refuse a `sample` that is no result of the step, and a `verify` that can't be called with its arguments."""
    sample, verify = step.info.sample, step.info.verify
    if sample is not None:
        if step.returns is None or not isinstance(sample, step.returns):
            wanted = "nothing" if step.returns is None else step.returns.__name__
            raise NoSuchStep(f"the sample of {step.uses} is a {type(sample).__name__}, it returns {wanted}")
        try:
            encode(sample)
        except TypeMismatch as error:
            raise NoSuchStep(f"the sample of {step.uses}: {error}") from error
    if verify is not None:
        context = (None,) if step.wants_context else ()
        required = [name for name, argument in step.arguments.items() if argument.required]
        for names in (required, list(step.arguments)):
            try:
                inspect.signature(verify).bind(*context, **dict.fromkeys(names))
            except TypeError as error:
                raise NoSuchStep(
                    f"the verify function of {step.uses} can't be called as the step is: {error}",
                    "give it the step's own arguments",
                ) from error
