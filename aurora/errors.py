"""Every error that Aurora raises on purpose, as one tree.

    AuroraError
      OperatorError          a person can put it right: bad command line, runbook, profile, lock      exit 2
        UsageError           the command line
        ProjectError         no project here, or its set-up is off
        RunbookError         one or more faults in runbooks, carried all (lives in engine.faults, beside its parts)
        ProfileError         a profile can't be read, or holds an unknown or wrong value
        LockHeld             another run holds the group, or an unfinished run blocks it
        RunNotFound          no such run
        ResumeRefused        the run can't go on as it is (finished, runbook changed)
      VenueRefusal           a broker or quote source said no, or said nothing                        exit 1
        VenueSilent          it did not answer in time
      SafetyStop             Aurora stopped itself: kill flag, lockout, breach                        exit 3
      RecordError            a journal or report can't be written or does not hold together          exit 1
        JournalWriteError    the disk refused a journal line
        JournalDamaged       a journal that was changed or cut in the middle                          exit 8
        LedgerDamaged        the ledger, or its signature, is not what Aurora wrote                   exit 8
        SigningFailed        ssh-keygen can't be used, or did not sign                                exit 2
        SecretOnRecord       a file of a finished run holds a secret: it is not sealed                exit 8
      InternalError          a bug in Aurora: please report                                           exit 1

Each class carries `exit_code`; `diagnostics()` says what happened, what it means and what to type.
"""

from __future__ import annotations


class AuroraError(Exception):
    """Base of the tree: what happened, what it means, what to do."""

    exit_code = 1

    def __init__(self, what: str, *, means: str = "", todo: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.means = means
        self.todo = todo

    def diagnostics(self) -> str:
        """Return the full text for a person: one line each for what, meaning and remedy."""
        lines = [self.what]
        if self.means:
            lines.append(f"  means: {self.means}")
        if self.todo:
            lines.append(f"  to do: {self.todo}")
        return "\n".join(lines)


class OperatorError(AuroraError):
    """Something that the person at the keyboard can put right; nothing was run."""

    exit_code = 2


class UsageError(OperatorError):
    """The command line does not say what Aurora could do."""


class ProjectError(OperatorError):
    """There is no project here, or its set-up is off."""


class ProfileError(OperatorError):
    """A profile can't be read, or holds an unknown or wrong value."""


class LockHeld(OperatorError):
    """Another run holds the group, or an unfinished run blocks it."""


class RunNotFound(OperatorError):
    """There is no such run in `runs/`."""


class ResumeRefused(OperatorError):
    """The run can't go on as it is."""


class VenueRefusal(AuroraError):
    """A broker or quote source said no, or said nothing."""


class VenueAway(VenueRefusal):
    """The line to a venue is down, or not all of the account was told since; it may come back by itself."""


class VenueSilent(VenueRefusal):
    """A venue did not answer in time; what became of what was asked is not known."""


class SafetyStop(AuroraError):
    """Aurora stopped itself to keep a limit."""

    exit_code = 3


class RecordError(AuroraError):
    """A record can't be written, or does not hold together."""


class JournalWriteError(RecordError):
    """The disk refused a journal line; nothing was done that the journal does not announce."""


class JournalDamaged(RecordError):
    """A journal was changed, or cut in the middle."""

    exit_code = 8


class LedgerDamaged(RecordError):
    """The ledger, or its signature, is not what Aurora wrote."""

    exit_code = 8


class SigningFailed(RecordError):
    """ssh-keygen can't be used, or did not sign."""

    exit_code = 2


class SecretOnRecord(RecordError):
    """A file of a finished run holds a secret; the run is not sealed."""

    exit_code = 8


class InternalError(AuroraError):
    """A bug in Aurora; please report it with the run's folder."""
