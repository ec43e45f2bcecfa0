"""Pushes alerts to a phone: one HTTP POST, with ntfy's headers, to the address that is in NTFY_URL.

The address is a secret: who knows an ntfy topic reads and writes it. ntfy's protocol: https://docs.ntfy.sh/publish/
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace

from aurora.alerts.base import Alert, Delivery
from aurora.alerts.web import Answer, Target, post, read_target
from aurora.clock import Clock

ADDRESS = "NTFY_URL"
TIMEOUT_S = 5.0
PAUSE_S = 0.5
LONGEST_TEXT = 4000
"""In bytes: ntfy turns more than 4,096 into an attachment, which not every server takes."""

LONGEST_TITLE = 250
LONGEST_TAG = 60


class PushNotifier:
    """send → _attempt, and once more when the second time may be better.

    address:   https, or plain http to this machine itself; `user:password@` in it becomes basic authentication.
    timeout_s: the most that one attempt takes, whatever the name service and the server do.
    """

    name = "push"
    reaches_person = True

    def __init__(self, address: str, clock: Clock, *, timeout_s: float = TIMEOUT_S) -> None:
        self._target = read_target(address, ADDRESS)
        self._clock = clock
        self._timeout_s = timeout_s

    def send(self, alert: Alert) -> Delivery:
        """Push `alert`; delivered means that the server answered 2xx. After a time-out it may arrive twice."""
        if isinstance(self._target, str):
            return Delivery(False, self._target)
        answer = self._attempt(self._target, alert)
        if answer.again:
            self._clock.sleep(PAUSE_S)
            first, answer = answer, self._attempt(self._target, alert)
            answer = replace(answer, detail=f"{answer.detail}, the second time; the first time: {first.detail}")
        return Delivery(answer.accepted, answer.detail)

    def _attempt(self, target: Target, alert: Alert) -> Answer:
        answer = post(target, _cut(alert.text, LONGEST_TEXT).encode(), _headers(alert), self._timeout_s)
        moved = answer.detail.replace("put the final address there", f"put the final address into {ADDRESS}")
        return replace(answer, detail=moved.replace("the address can't", f"{ADDRESS} can't"))


def _headers(alert: Alert) -> Mapping[str, str]:
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "Title": _header(_cut(alert.title, LONGEST_TITLE)),
        "Priority": alert.priority.value,
        "Tags": ",".join(_header(_cut(tag, LONGEST_TAG).replace(",", " ")) for tag in alert.tags),
    }
    return {name: value for name, value in headers.items() if value}


def _header(text: str) -> str:
    """Return `text` as one line of a header: as it is, or as RFC 2047 where it is more than ASCII."""
    line = " ".join(text.split())
    if line.isascii() and line.isprintable():
        return line
    return f"=?UTF-8?B?{b64encode(line.encode('utf-8', 'replace')).decode()}?="


def _cut(text: str, longest: int) -> str:
    """Return `text`, or as much of its start as fits into `longest` bytes with a sign that more was said."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= longest:
        return raw.decode()
    return raw[: longest - 3].decode("utf-8", "ignore") + "…"
