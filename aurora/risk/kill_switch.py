"""The kill switch: a file `kill.flag` at the project root. While it is there, nothing opens.

Only a person takes a flag away, by hand or with `invoke kill --clear`. A rehearsal removes the very file that it wrote,
and no other.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from aurora.errors import OperatorError, RecordError, SafetyStop

FLAG = "kill.flag"
_REHEARSAL = "written by a rehearsal of the kill switch\n"


@dataclass(frozen=True)
class RehearsalFlag:
    """A flag that a rehearsal wrote: how to know it again."""

    inode: int
    mtime_ns: int


class KillSwitch:
    """Looks at the flag; sets and clears it for a person; writes and removes one of its own for a rehearsal.

    A folder that can't be looked into counts as killed: what can't be checked is not safe.
    """

    def __init__(self, project: Path) -> None:
        self.flag = project / FLAG

    @property
    def is_set(self) -> bool:
        """Return whether the flag is there, or can't be looked for."""
        try:
            self.flag.lstat()
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return True

    def require_clear(self) -> None:
        """Raise SafetyStop when the flag is there."""
        if self.is_set:
            raise self._stop()

    def set(self, text: str) -> bool:
        """Write the flag, with who and why in it; return whether there was none before.

        Raises RecordError when the disk refuses it.
        """
        try:
            with self.flag.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            return False
        except OSError as error:
            if self.is_set:
                return True  # the file is there, only its text is not: that is a flag
            raise RecordError(
                f"THE KILL FLAG IS NOT SET: {self.flag} can't be written: {error.strerror}.",
                means="nothing was stopped",
                todo="stop the sessions with Ctrl-C, and flatten in the venue's own window",
            ) from error
        return True

    def read(self) -> str:
        """Return what is written in the flag, its beginning. Raises OperatorError when there is none."""
        try:
            with self.flag.open(encoding="utf-8", errors="replace") as file:
                return file.read(500)
        except FileNotFoundError:
            if self.is_set:
                return "(a link to nowhere)"
            raise OperatorError("The kill flag is not set.", todo="there is nothing to clear") from None
        except OSError as error:
            return f"({error.strerror})"

    def clear(self) -> None:
        """Take the flag away, as a person asked. Raises OperatorError for what is no file."""
        try:
            self.flag.unlink(missing_ok=True)
        except OSError as error:
            raise OperatorError(
                f"{self.flag} can't be removed: {error.strerror}.", means="the flag stays", todo="remove it by hand"
            ) from error

    def write_rehearsal_flag(self) -> RehearsalFlag:
        """Write the flag as a rehearsal does. Raises SafetyStop when one is there already."""
        try:
            descriptor = os.open(self.flag, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            raise self._stop() from None
        with os.fdopen(descriptor, "w") as file:
            file.write(_REHEARSAL)
            file.flush()
            stat = os.fstat(file.fileno())
        return RehearsalFlag(stat.st_ino, stat.st_mtime_ns)

    def remove_rehearsal_flag(self, own: RehearsalFlag) -> bool:
        """Remove the flag if it is `own`, unchanged; return whether it was. Any other flag stays (engine rule 30).

        Renamed aside, looked at, else put back: between a look and a removal somebody could write a flag of their own.
        """
        if not self._is_own(self.flag, own):
            return False
        aside = self.flag.with_name(f".{FLAG}.{os.getpid()}.{own.mtime_ns}")
        try:
            self.flag.rename(aside)
        except FileNotFoundError:
            return False
        is_own = self._is_own(aside, own)
        if not is_own:
            # A link, not a rename: it must not replace a flag that somebody set meanwhile.
            with contextlib.suppress(FileExistsError):
                self.flag.hardlink_to(aside)
        aside.unlink()
        return is_own

    def _stop(self) -> SafetyStop:
        by = "a rehearsal that did not end set it" if self._is_of_rehearsal() else "somebody stopped trading"
        return SafetyStop(
            f"The kill flag is set: {self.flag}.",
            means=f"{by}; nothing that opens a position will be sent",
            todo="find out why; then a person types: invoke kill --clear --reason TEXT",
        )

    def _is_of_rehearsal(self) -> bool:
        try:
            with self.flag.open(encoding="utf-8", errors="replace") as file:
                return file.read(len(_REHEARSAL)) == _REHEARSAL
        except OSError:
            return False

    @staticmethod
    def _is_own(path: Path, own: RehearsalFlag) -> bool:
        try:
            stat = path.lstat()
        except FileNotFoundError:
            return False
        return (stat.st_ino, stat.st_mtime_ns) == (own.inode, own.mtime_ns)
