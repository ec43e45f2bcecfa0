"""Steps that move the dome."""

from __future__ import annotations

from observatory import Observatory, Shutter

from aurora.engine.context import Context
from aurora.engine.registry import Verdict, step


def is_it_open(context: Context[Observatory]) -> Verdict:
    """Find out whether the shutter did open, when nobody knows."""
    shutter = context.services.read_shutter()
    return Verdict("done", shutter) if shutter.is_open else Verdict("not_done")


@step(repeat="never", verify=is_it_open, sample=Shutter(is_open=True))
def open_shutter(context: Context[Observatory]) -> Shutter:
    """Open the dome: once, and never on a doubt."""
    return context.services.move_shutter(is_open=True)


@step(repeat="safe", sample=Shutter(is_open=False), dry_run="simulate")
def close_shutter(context: Context[Observatory]) -> Shutter:
    """Close the dome; it may be closed already."""
    return context.services.move_shutter(is_open=False)
