"""A run's live terminal that also shows the session which one of its steps runs, from the record that it writes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aurora.engine.console import LiveTerminal
from aurora.journal import Event

if TYPE_CHECKING:
    from aurora.session.sight import Watcher

RECORDING = "session.jsonl"
LOOK_BYTES = 500_000
"""The engine draws this and must not be kept from its work: with a session far ahead it catches up in parts."""
ROWS = 20
DRAW_S = 0.25


class SessionTerminal(LiveTerminal):
    """The live terminal, with the picture of a session below the running steps; runs: where the records lie."""

    def __init__(self, runs: Path) -> None:
        super().__init__()
        self._runs = runs
        self._run = ""
        self._panes: dict[str, _Pane] = {}

    def on_event(self, event: Event) -> None:
        """Print what the event means, and follow the session of a step that begins."""
        data = event.data
        if event.type == "run.opened":
            self._run = data["run"]
        elif event.type == "step.started":
            folder = self._runs / self._run / "artifacts" / data["step"].replace("/", ".") / str(data["attempt"])
            self._panes[data["step"]] = _Pane(folder / RECORDING, self._runs.parent)
        elif event.type in ("step.finished", "step.retrying"):
            self._panes.pop(data["step"], None)
        super().on_event(event)

    def drawn(self, now: float) -> Any:
        """Return the running steps, and under them the sessions that they run."""
        from rich.console import Group  # noqa: PLC0415 - rich is slow to import

        pictures = [pane.picture(now) for pane in self._panes.values()]
        return Group(super().drawn(now), *(each for each in pictures if each is not None))


class _Pane:
    """One step's session, if it runs one; what can't be read is shown no more, and nothing else comes of it."""

    def __init__(self, recording: Path, project: Path) -> None:
        self._recording = recording
        self._project = project
        self._watcher: Watcher | None = None
        self._is_broken = False
        self._grew = self._drawn = 0.0
        self._picture: Any = None

    def picture(self, now: float) -> Any:
        if not self._is_broken and now - self._drawn >= DRAW_S:
            self._drawn = now
            try:
                self._picture = self._draw(now)
            except Exception:  # noqa: BLE001 - a record that can't be shown must not touch the run
                self._is_broken, self._picture = True, None
        return self._picture

    def _draw(self, now: float) -> Any:
        if self._watcher is None:
            if not self._recording.exists():
                return None
            from aurora.session.sight import Watcher  # noqa: PLC0415 - only a run with a session pays for it

            self._watcher = Watcher(self._recording, self._project)
        from aurora.commands.session_picture import picture  # noqa: PLC0415 - the same

        if self._watcher.look(LOOK_BYTES):
            self._grew = time.monotonic()
        return picture(self._watcher.sight, rows=ROWS, silent_s=max(0.0, now - self._grew))
