"""Steps that look at the sky."""

from __future__ import annotations

from observatory import Frame, Observatory, Weather

from aurora.engine.context import Context
from aurora.engine.registry import step


@step(repeat="safe")
def weather(context: Context[Observatory]) -> Weather:
    """Ask the weather station."""
    return context.services.read_weather()


@step(repeat="safe", dry_run="skip")
def expose(context: Context[Observatory], target: str, seconds: int) -> Frame:
    """Take a picture; it is an artifact of the run."""
    context.log(f"{target}: {seconds} s")
    return context.services.expose(target, seconds, context.artifacts)
