"""Testing of runbooks: rehearse them in a few lines, with mocked steps and scripted answers."""

from aurora.engine.registry import Verdict
from aurora.testing.mocks import Call
from aurora.testing.outcomes import Mock, RehearsalError, dies, outputs, passes, raises, real, red, times_out
from aurora.testing.people import Answers, no_to
from aurora.testing.record import GateVerdict, Question, RehearsedRun
from aurora.testing.rehearsal import Rehearsal

__all__ = [
    "Answers",
    "Call",
    "GateVerdict",
    "Mock",
    "Question",
    "Rehearsal",
    "RehearsalError",
    "RehearsedRun",
    "Verdict",
    "dies",
    "no_to",
    "outputs",
    "passes",
    "raises",
    "real",
    "red",
    "times_out",
]
