"""Contexts for step functions: a desk over a project of its own, as a worker would build it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aurora.desk import services
from aurora.engine.context import Context
from aurora.engine.functions import FunctionTable
from aurora.engine.values import decode, encode
from aurora.session.services import Services
from tests.trading import ROOT, give_models, make_profile


def make_context(project: Path, name: str = "sim", **changes: Any) -> Context[Services]:
    """Return the context of one attempt of a step."""
    artifacts = project / "runs" / "r" / "artifacts"
    profile = make_profile(name, **changes)
    give_models(project)
    return Context("r", "s", 1, "token-1", project, artifacts, profile, make_services=services)


def call(uses: str, project: Path, profile: str = "sim", **arguments: Any) -> Any:
    """Call a step as a worker does: arguments and outputs go through the engine's own encoder."""
    step = FunctionTable(ROOT).find(uses)
    given = {name: decode(encode(value), step.arguments[name].hint) for name, value in arguments.items()}
    context = (make_context(project, profile),) if step.wants_context else ()
    outputs = step.function(*context, **given)
    assert step.returns is not None
    assert decode(encode(outputs), step.returns) == outputs
    return outputs
