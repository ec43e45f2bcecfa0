"""Signatures of persons in a run on a live profile: what the engine asks of whoever makes and checks them.

How it is done is no business of the engine's; the one who signs is handed in with the desk (`leg.Desk.signatory`).
"""

from __future__ import annotations

import selectors
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from aurora.consent import Signed, answers_of, confirmation
from aurora.engine.opening import Prepared
from aurora.engine.unrecorded import REDUCING
from aurora.errors import OperatorError, RecordError

Then = Callable[[Signed | None, str], None]
"""What follows: the signature, or None and why there is none."""


class Errand(Protocol):
    """Something that takes its time: `descriptor` becomes readable when it has ended."""

    descriptor: int

    def result(self) -> Signed:
        """Return what came of it; raise RecordError when nothing did."""

    def stop(self) -> None:
        """End it."""


class Signatory(Protocol):
    """Whoever signs in the name of the person here, and knows whose signatures count."""

    @property
    def is_configured(self) -> bool:
        """Return whether there is a person's key here at all."""

    def ready(self, run: str, at: datetime) -> Signed:
        """Prove that the person here can sign; raise RecordError when she can't."""

    def sign(self, text: bytes) -> Signed:
        """Sign now; raise RecordError."""

    def begin_sign(self, text: bytes) -> Errand:
        """Sign beside the engine's loop."""

    def begin_check(self, text: bytes, sshsig: str) -> Errand:
        """Find out whose signature it is, beside the engine's loop."""


class Signing:
    """Has the answers to a run's questions signed, or their signatures checked, in the runner's own select loop.

    signatory: None where nobody can sign: then no yes counts.
    must:      whether an answer without a signature is a no; it counts, and says why it has none, in a run that only
               reduces: nothing blocks the way out of a position.
    head:      the SHA-256 of the journal's last line.
    say:       told the step and what goes on, for the person who waits.
    """

    def __init__(
        self,
        signatory: Signatory | None,
        selector: selectors.BaseSelector,
        run: str,
        head: Callable[[], str],
        *,
        must: bool = True,
        say: Callable[[str, str], object] = lambda *_: None,
    ) -> None:
        self._signatory, self._selector, self._say = signatory, selector, say
        self._run, self.head, self.must = run, head, must
        self._errands: dict[int, tuple[Errand, Then]] = {}

    def sign(self, head: str, asked: Mapping[str, Any], ticks: Sequence[bool], then: Then) -> Callable[[], None]:
        """Have an answer signed by the person here. Return what stops that; `then` is not called after it."""
        self._say(asked["step"], "the answer is being signed; a security key wants a touch now")
        return self._begin(lambda signatory, text: signatory.begin_sign(text), head, asked, ticks, then)

    def check(self, head: str, asked: Mapping[str, Any], ticks: Sequence[bool], sshsig: str, then: Then) -> None:
        """Have the signature of an answer checked that was given in another process."""
        self._begin(lambda signatory, text: signatory.begin_check(text, sshsig), head, asked, ticks, then)

    def _begin(
        self,
        act: Callable[[Signatory, bytes], Errand],
        head: str,
        asked: Mapping[str, Any],
        ticks: Sequence[bool],
        then: Then,
    ) -> Callable[[], None]:
        if self._signatory is None:
            then(None, "nobody signs here")
            return _nothing
        lines = asked["checklist"] or [asked["prompt"]]
        answered = {"accepted": all(ticks), "answers": answers_of(lines, ticks)}
        try:
            errand = act(self._signatory, confirmation(self._run, head, asked, answered))
        except (RecordError, OSError, RuntimeError) as error:  # no pipe, no thread, or a text that can't be signed
            then(None, _said(error))
            return _nothing
        self._errands[errand.descriptor] = (errand, then)
        self._selector.register(errand.descriptor, selectors.EVENT_READ)
        return lambda: self._stop(errand.descriptor)

    def owns(self, descriptor: int) -> bool:
        """Return whether a readable descriptor is an errand's."""
        return descriptor in self._errands

    def hear(self, descriptor: int) -> None:
        """Take what came of an errand, and go on with what follows."""
        errand, then = self._forget(descriptor)
        try:
            signed = errand.result()
        except (RecordError, OSError) as error:
            then(None, _said(error))
        else:
            then(signed, "")

    def _stop(self, descriptor: int) -> None:
        if descriptor in self._errands:
            self._forget(descriptor)[0].stop()

    def _forget(self, descriptor: int) -> tuple[Errand, Then]:
        self._selector.unregister(descriptor)
        return self._errands.pop(descriptor)

    def close(self) -> None:
        """End what is under way."""
        for descriptor in list(self._errands):
            self._stop(descriptor)


def require_person(
    prepared: Prepared, signatory: Signatory | None, run: str, now: Callable[[], datetime], *, asks: bool
) -> Signed | None:
    """Return who signs in a run on a live profile; None elsewhere, and in one that only reduces: it waits for no key.

    asks: whether the run asks a person anything; without a question no key is tried. Raises OperatorError when it does,
    and nobody here can sign.
    """
    if not asks or not prepared.is_live or only_reduces_orders(prepared):
        return None
    error: Exception = RecordError("Nobody signs here.")
    if signatory is not None:
        try:
            return signatory.ready(run, now())
        except (RecordError, OSError) as refused:
            error = refused
    todo = error.todo if isinstance(error, RecordError) and error.todo else "name a person's key, and start it again"
    raise OperatorError(
        f"{prepared.plan.root.name} asks a person, and on the live profile {prepared.profile.name} a person signs what "
        f"she answers. {error}",
        means="nobody could say yes; nothing was run",
        todo=todo,
    ) from error


def asks_person(prepared: Prepared, ended: Callable[[str], bool] = lambda _: False) -> bool:
    """Return whether a plan holds a question to a person, in a step that has not `ended`."""
    return any(node.step.kind == "confirm" and not ended(node.id) for node in prepared.plan.nodes.values())


def only_reduces_orders(prepared: Prepared) -> bool:
    """Return whether what a plan does to orders is to reduce them: no signature may stand in its way (rule 13)."""
    effects = {effect for function in prepared.functions.values() for effect in function.info.effects}
    return effects == {REDUCING}


def _said(error: Exception) -> str:
    if isinstance(error, RecordError):
        return error.what.rstrip(".")
    return f"{type(error).__name__}: {error}"


def _nothing() -> None:
    """There is nothing to stop."""
