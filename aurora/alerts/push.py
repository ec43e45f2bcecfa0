"""Pushes alerts to a person's device, by apprise: to NTFY_URL, and to each other address that the profile names.

Each attempt is a process of its own with a bound, all addresses at once: whatever a name service, a server or a plugin
does, whoever tells an alert is back within two bounds and a pause.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from threading import Thread
from typing import Any

from aurora.alerts.address import Address, read_address
from aurora.alerts.base import Alert, Delivery
from aurora.alerts.web import NO_ANSWER, Answer
from aurora.clock import Clock

TIMEOUT_S = 5.0
PAUSE_S = 0.5
LOADING_S = 3.0
"""What a slow machine needs to load apprise, beside the time that the network has."""

Ask = Callable[[Mapping[str, Any], float], Answer]
"""Deliver what is said to an address, within so many seconds."""

_SENDER = (sys.executable, "-m", "aurora.alerts.sender")


@dataclass(frozen=True)
class Pushed(Delivery):
    """What became of a push. left: the names of the addresses that did not take it."""

    left: tuple[str, ...] = ()


class PushNotifier:
    """send → each address beside the others: _attempt, and once more when the second time may be better.

    addresses: by the name of the variable that holds each. timeout_s: the most that the network has for one attempt.
    """

    name = "push"
    reaches_person = True

    def __init__(
        self, addresses: Mapping[str, str], clock: Clock, *, timeout_s: float = TIMEOUT_S, ask: Ask | None = None
    ) -> None:
        self._addresses = {name: read_address(text, name) for name, text in addresses.items()}
        self._clock = clock
        self._timeout_s = timeout_s
        self._ask = ask or ask_a_process

    @property
    def names(self) -> tuple[str, ...]:
        """Return which addresses there are, by name."""
        return tuple(self._addresses)

    def send(self, alert: Alert, only: Collection[str] = ()) -> Pushed:
        """Push `alert`; delivered means that an address took it. After a time-out it may arrive twice.

        only: the names of the addresses that it is for; where none of them is left, it is for all.
        """
        answers: dict[str, Answer] = {}
        addresses = {name: to for name, to in self._addresses.items() if name in only} or self._addresses
        threads = [
            Thread(target=lambda name=name, to=to: answers.update({name: self._tried(name, to, alert)}), daemon=True)
            for name, to in addresses.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        left = tuple(name for name in addresses if not answers[name].accepted)
        said = [answers[name].detail for name in addresses]
        if len(said) > 1:
            said = [f"{name}: {detail}" for name, detail in zip(addresses, said, strict=True)]
        return Pushed(len(left) < len(said), "; ".join(said) or "the profile names no address", left)

    def _tried(self, name: str, address: Address | str, alert: Alert) -> Answer:
        if isinstance(address, str):
            return Answer(False, address)
        answer = self._attempt(name, address, alert)
        if answer.again:
            self._clock.sleep(PAUSE_S)
            first, answer = answer, self._attempt(name, address, alert)
            answer = replace(answer, detail=f"{answer.detail}, the second time; the first time: {first.detail}")
        return answer

    def _attempt(self, name: str, address: Address, alert: Alert) -> Answer:
        said: dict[str, Any] = {
            "name": name,
            "address": address.text,
            "title": alert.title,
            "text": alert.text,
            "tags": alert.tags,
        }
        said |= {"priority": alert.priority.value, "at": alert.at.isoformat(), "timeout_s": self._timeout_s}
        answer = self._ask(said, self._timeout_s + LOADING_S)
        moved = answer.detail.replace("put the final address there", f"put the final address into {name}")
        return replace(answer, detail=moved.replace("the address can't", f"{name} can't"))


def ask_a_process(said: Mapping[str, Any], bound_s: float) -> Answer:
    """Have a process deliver what is said; one that is not back within `bound_s` seconds is killed."""
    try:
        done = subprocess.run(
            _SENDER,
            input=json.dumps(said).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            start_new_session=True,
            timeout=bound_s,
            check=False,
        )
        out = done.stdout
        return Answer(**json.loads(out))
    except subprocess.TimeoutExpired:
        return NO_ANSWER
    except (OSError, ValueError, TypeError) as error:
        return Answer(False, f"the process that sends could not do it ({type(error).__name__})", again=True)


def _environment() -> dict[str, str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    if trusted := environment.get("SSL_CERT_FILE"):  # requests has a variable of its own
        environment.setdefault("REQUESTS_CA_BUNDLE", trusted)
    return environment
