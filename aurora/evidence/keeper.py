"""Keeps the records of a project's runs: a line in the ledger before the first step, a seal at the end.

What the engine asks of whoever keeps its records is `engine.execute.Keeper`; this is the one that signs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aurora.clock import Clock, SystemClock
from aurora.engine.leaks import refuse_secrets
from aurora.errors import AuroraError, RecordError, SecretOnRecord
from aurora.evidence import sealing
from aurora.evidence.files import write_reports
from aurora.evidence.keys import ensure_key, fingerprint, key_path
from aurora.evidence.ledger import Head, Ledger
from aurora.evidence.sealing import first_line
from aurora.evidence.signing import no_key
from aurora.evidence.statement import files_of
from aurora.journal import Event

ENTERED = "ledger.entered"
"""The journal's event that says where the ledger knows of the run."""


class SigningKeeper:
    """ready: key and ledger. required: `requires`. opened: older seals → ledger line. closed: reports → seal.

    Without a way to sign, a run that can open orders does not start; any other runs on, unsealed, and that is said:
    nothing ever blocks the way out of a position.
    """

    def __init__(
        self,
        root: Path,
        say: Callable[[str], object],
        warn: Callable[[str], object] | None = None,
        clock: Clock | None = None,
        announce: Callable[[str, Path, Head], object] | None = None,
    ) -> None:
        self._announce = announce
        """Told of each new head: `opened` or an outcome, the run's folder, the head. It never waits for a network."""
        self._root = root
        self._say = say
        self._warn = warn or say
        self._trouble: RecordError | None = None
        """Why there is no key; said once the run is there."""
        self._clock = clock or SystemClock()

    def ready(self, runs: Path, *, simulated: bool, must: bool) -> None:
        """See whether records can be signed, before a run is made; on a simulated venue a missing key is made.

        Raises RecordError and its kin when they can't and the run `must` leave one; else `opened` says it.
        """
        key = key_path(self._root)
        try:
            made = ensure_key(self._root, runs) if simulated or key.is_file() else ""
        except RecordError as error:
            if must:
                raise
            self._trouble = error
            return
        if made:
            self._say(made)
        if must:
            if not key.is_file():
                raise no_key(key)
            with Ledger.locked(runs, key):
                pass  # it verifies, or this raises

    def opened(self, folder: Path, events: Sequence[Event], *, must: bool) -> Mapping[str, Any] | None:
        """Put a run on the ledger; return what its journal says of that, None when it is there or can't be.

        events: the run's journal so far. Raises as `ready` does.
        """
        entry = None
        if not any(event.type == ENTERED for event in events):
            with self._unless(must):
                entry = self._enter(folder, events)
        return entry

    def reopened(self, folder: Path, *, must: bool) -> None:
        """Say on the ledger that a finished run is about to be taken up again. Raises as `ready` does."""
        with self._unless(must):
            sealing.reopen_run(folder, key_path(self._root), self._clock.now())

    def _enter(self, folder: Path, events: Sequence[Event]) -> dict[str, Any]:
        if self._trouble is not None:
            raise self._trouble
        if any(event.type.startswith("step.") for event in events):
            raise RecordError("It has begun without its line in the ledger, and can't be sealed any more.")
        key = key_path(self._root)
        line = sealing.open_run(folder, key, first_line(folder), self._clock.now(), self._say, self._look)
        self._tell_of("opened", folder, line)
        return {"seq": line.seq, "sha256": line.sha256, "key": fingerprint(key)}

    @contextlib.contextmanager
    def _unless(self, must: bool) -> Iterator[None]:
        try:
            yield
        except (AuroraError, OSError) as error:
            if must:
                raise
            self._warn(f"this run leaves no signed record: {said(error)}")

    def required(
        self, runs: Path, asked: Sequence[Mapping[str, Any]], asking: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Return what the ledger says of a runbook's `requires`; see `requirements.check_requirements`."""
        from aurora.evidence.requirements import Asking, check_requirements  # noqa: PLC0415 - few runbooks ask

        return check_requirements(runs, asked, Asking(now=self._clock.now(), **asking))

    def act(self, runs: Path, what: str, data: Mapping[str, Any]) -> None:
        """Enter in the ledger what a person did outside of any run; what can't be is said, and holds all the same.

        Nothing is made for it: without a key or records yet, there is no ledger to enter it in.
        """
        try:
            if not runs.is_dir() or not key_path(self._root).exists():
                raise RecordError("there is no signed ledger here yet")
            with Ledger.locked(runs, key_path(self._root)) as ledger:
                ledger.append("act", {"act": what, **data}, self._clock.now())
        except (AuroraError, OSError) as error:
            self._warn(f"{what} is not in the signed ledger: {said(error)}")

    def closed(self, folder: Path) -> None:
        """Write the reports of a run as it stands, and seal it if it is finished."""
        write_reports(folder)
        if not sealing.is_finished(folder):
            return
        try:
            head = sealing.seal_run(folder, key_path(self._root), self._clock.now(), self._look)
        except SecretOnRecord:
            raise  # whoever runs it ends as broken
        except (AuroraError, OSError) as error:
            self._warn(f"not sealed: {said(error)}")
        else:
            self._say(f"sealed; ledger head {head.seq}:{head.sha256}")
            self._tell_of("sealed", folder, head)

    def _look(self, folder: Path) -> None:
        refuse_secrets(self._root, files_of(folder), folder.name)

    def _tell_of(self, what: str, folder: Path, head: Head) -> None:
        if self._announce is None:
            return
        try:
            self._announce(what, folder, head)
        except Exception as error:  # noqa: BLE001 - what can't be announced stops no run; verify misses the witness
            self._warn(f"the ledger's head could not be put into the outbox: {error}")


def said(error: Exception) -> str:
    """Return an error in one line, with what to do."""
    return f"{error.what} To do: {error.todo}." if isinstance(error, AuroraError) and error.todo else str(error)
