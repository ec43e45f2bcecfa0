"""What a step function may ask of the engine while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from aurora.grant import Grant
from aurora.profile import Profile

S = TypeVar("S")


def _ignore(*_: object) -> None:
    """Stand in for a channel that nobody listens to."""


@dataclass
class Context(Generic[S]):
    """One attempt of one step: who it is, where it may write, and how it reports.

    run, step, attempt: names of this attempt; `token` is unique to it and is its idempotency key.
    project:   the project's root folder.
    folder:    where `artifacts` lies.
    grant:     the run's right to open orders; only a step with the effect `orders.open` has one.
    dry_run:   true under `--dry-run`; a step with effects is never called then.
    """

    run: str
    step: str
    attempt: int
    token: str
    project: Path
    folder: Path
    profile: Profile
    dry_run: bool = False
    grant: Grant | None = None
    make_services: Callable[[Context[S]], S] | None = None
    on_progress: Callable[[float, float | None, str], None] = _ignore
    on_log: Callable[[str], None] = _ignore
    is_stopping: Callable[[], bool] = bool
    _services: list[S] = field(default_factory=list)

    @property
    def artifacts(self) -> Path:
        """A folder of this attempt's own, inside the run's folder; what is left there is listed in the report."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder

    @property
    def services(self) -> S:
        """The desk's services (brokers, quote sources …), built on first use by the project's factory."""
        if not self._services:
            if self.make_services is None:
                raise LookupError(
                    "This project names no services factory; set [tool.aurora] services = 'module:function'."
                )
            self._services.append(self.make_services(self))
        return self._services[0]

    def progress(self, done: float, total: float | None = None, label: str = "") -> None:
        """Show how far a long step is: `done` of `total` (None when unknown)."""
        self.on_progress(done, total, label)

    def log(self, text: str) -> None:
        """Add a line to the step's log."""
        self.on_log(text)

    @property
    def stopping(self) -> bool:
        """True once the engine asked the step to stop; a long loop looks here and ends cleanly."""
        return self.is_stopping()
