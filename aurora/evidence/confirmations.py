"""Checks what persons have signed: answers and waivers in a run's journal, unlocks and clearings in the ledger.

Each is written again from the record (`aurora.consent`) and checked at the time of its own line, so a key that has
ended since takes nothing along, and a word that was changed is found by its signature.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from aurora.consent import clearing, confirmation, unlocking, waiver
from aurora.errors import SigningFailed
from aurora.evidence.findings import Finding
from aurora.evidence.fold import listed, mapping
from aurora.evidence.persons import whose
from aurora.evidence.signing import SignatureRefused, Trust
from aurora.journal import Event

ACTS: Mapping[str, Callable[[Mapping[str, Any]], bytes]] = {"unlocked": unlocking, "kill.cleared": clearing}
"""The acts outside of runs that a person may have signed, and what she signs of each."""


@dataclass(frozen=True)
class Verifier:
    """Checks signatures of persons against who may sign; `engine` are the fingerprints of the engine's own keys."""

    trust: Trust
    engine: frozenset[str]

    def run(self, run: str, events: Sequence[Event], path: Path) -> Iterator[Finding]:
        """Yield what is wrong with the signatures of persons in a run's journal, or that some are missing."""
        live = bool(events) and bool(events[0].data.get("live"))
        if not live and not any(_is_signed(event) for event in events):
            return
        heads = _heads(path)
        asked: Event | None = None  # one question is open at a time, and answered once
        for event in events:
            if event.type == "prompt.opened":
                asked = event
            elif event.type == "prompt.answered":
                yield from self._answer(run, event, asked, heads, live=live)
                asked = None
            elif event.type == "run.resumed":
                yield from self._waivers(run, event, heads, live=live)

    def acts(self, events: Iterable[Event]) -> Iterator[Finding]:
        """Yield what is wrong with the acts outside of runs that the ledger knows."""
        signed: dict[str, int] = {}
        for event in events:
            text_of = ACTS.get(str(event.data.get("act"))) if event.type == "act" else None
            if text_of is None:
                continue
            what = f"line {event.seq} ({event.data['act']})"
            if _is_signed(event):
                yield from self._check("ledger", what, partial(text_of, event.data), event)
                said = json.dumps({**event.data, "signature": None}, sort_keys=True)
                if signed.setdefault(said, event.seq) != event.seq:
                    yield Finding(
                        "CONFIRMATION", "ledger", f"{what} says once more what was signed for line {signed[said]}"
                    )
            elif event.data.get("live"):
                yield Finding("CONFIRMATION", "ledger", f"{what} is not signed by a person, and it was done on live")

    def _answer(
        self, run: str, event: Event, asked: Event | None, heads: Sequence[str], *, live: bool
    ) -> Iterator[Finding]:
        data = event.data
        what = f"the answer to {data.get('step')} (journal line {event.seq})"
        if not _is_signed(event):
            if live and data.get("accepted"):
                why = f": {data['unsigned']}" if data.get("unsigned") else ""
                yield Finding("CONFIRMATION", run, f"{what} is a yes that no person signed{why}")
            return
        number = mapping(data["signature"]).get("question")
        if asked is None or asked.seq != number or asked.data.get("step") != data.get("step"):
            yield Finding("CONFIRMATION", run, f"{what} is signed for no question that was open then in this run")
            return
        head = heads[asked.seq - 1] if asked.seq <= len(heads) else ""
        yield from self._check(run, what, partial(confirmation, run, head, asked.data, data), event)

    def _waivers(self, run: str, event: Event, heads: Sequence[str], *, live: bool) -> Iterator[Finding]:
        head = heads[event.seq - 2] if 2 <= event.seq <= len(heads) + 1 else ""
        for each in map(mapping, listed(event.data.get("waivers"))):
            what = f"the waiver of {each.get('step')} (journal line {event.seq})"
            if mapping(each.get("signature")):
                text = partial(waiver, run, head, str(each.get("step")), str(each.get("reason")))
                yield from self._check(run, what, text, Event(event.seq, event.ts, event.type, each))
            elif live:
                yield Finding("CONFIRMATION", run, f"{what} is not signed by a person")

    def _check(self, run: str, what: str, text: Callable[[], bytes], event: Event) -> Iterator[Finding]:
        """Check the signature that an event holds, at the event's own time."""
        given = mapping(event.data["signature"])
        try:
            words = text()
            at = datetime.fromisoformat(event.ts)
        except (KeyError, TypeError, ValueError, AttributeError, SigningFailed) as error:
            yield Finding("CONFIRMATION", run, f"{what} does not say what was signed ({type(error).__name__})")
            return
        try:
            signed = whose(words, str(given.get("sshsig")), self.trust, self.engine, at=at)
        except SignatureRefused as refused:
            yield Finding(refused.code, run, f"the signature of {what} does not hold: {refused.why}")
            return
        if (signed.principal, signed.key) != (given.get("principal"), given.get("key")):
            told = f"{given.get('principal')} with {given.get('key')}"
            yield Finding("KEY_ROLE", run, f"{what} was signed by {signed.principal} with {signed.key}, not by {told}")


def signer_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `principal` and `key` of an event's signature; nothing when it holds none."""
    given = mapping(data.get("signature"))
    return {name: given[name] for name in ("principal", "key") if name in given}


def _is_signed(event: Event) -> bool:
    if event.type == "run.resumed":
        return any(mapping(mapping(each).get("signature")) for each in listed(event.data.get("waivers")))
    return bool(mapping(event.data.get("signature")))


def _heads(path: Path) -> list[str]:
    """Return the SHA-256 of each line of a journal."""
    with contextlib.suppress(OSError):
        return [hashlib.sha256(line).hexdigest() for line in path.read_bytes().splitlines(keepends=True)]
    return []
