"""Pushes alerts to a phone: one HTTP POST, with ntfy's headers, to the address that is in NTFY_URL.

The address is a secret: who knows an ntfy topic reads and writes it. Errors of the libraries may quote it or its host,
so every word said here is our own. ntfy's protocol: https://docs.ntfy.sh/publish/
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Thread
from urllib.parse import unquote, urlsplit

from aurora.alerts.base import Alert, Delivery
from aurora.clock import Clock

ADDRESS = "NTFY_URL"
TIMEOUT_S = 5.0
PAUSE_S = 0.5
LONGEST_TEXT = 4000
"""In bytes: ntfy turns more than 4,096 into an attachment, which not every server takes."""

LONGEST_TITLE = 250
LONGEST_TAG = 60


class PushNotifier:
    """send → _attempt → _post, and once more when the second time may be better.

    address:   https, or plain http to this machine itself; `user:password@` in it becomes basic authentication.
    timeout_s: the most that one attempt takes, whatever the name service and the server do.
    """

    name = "push"
    reaches_person = True

    def __init__(self, address: str, clock: Clock, *, timeout_s: float = TIMEOUT_S) -> None:
        self._target = _read_target(address)
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

    def _attempt(self, target: _Target, alert: Alert) -> _Answer:
        """Post in a thread that is left behind: no socket's timeout bounds a name's look-up or an answer that drips."""
        answers: list[_Answer] = []
        thread = Thread(target=lambda: answers.append(_post(target, alert, self._timeout_s)), daemon=True)
        thread.start()
        thread.join(self._timeout_s)
        return answers[0] if answers else _NO_ANSWER


@dataclass(frozen=True)
class _Answer:
    """What came of one attempt. again: a second one may end better."""

    accepted: bool
    detail: str
    again: bool = False


_NO_ANSWER = _Answer(False, "the server did not answer in time", again=True)
_FAILURES: tuple[tuple[type[Exception], _Answer], ...] = (
    # the first that fits counts
    (ssl.SSLCertVerificationError, _Answer(False, "the server's certificate is not to be trusted")),
    (ssl.SSLError, _Answer(False, "no secure connection could be made", again=True)),
    (TimeoutError, _NO_ANSWER),
    (socket.gaierror, _Answer(False, "the server's name could not be looked up", again=True)),
    (ConnectionRefusedError, _Answer(False, "nothing listens at that address", again=True)),
    (OSError, _Answer(False, "the connection failed", again=True)),
    (http.client.HTTPException, _Answer(False, "what answered does not speak HTTP")),
    (Exception, _Answer(False, f"{ADDRESS} can't be used")),
)


@dataclass(frozen=True, repr=False)
class _Target:
    """A usable address, in parts."""

    secure: bool
    host: str
    port: int | None
    path: str
    login: str


def _read_target(address: str) -> _Target | str:
    """Return the parts of `address`, or why it can't be used."""
    text = address.strip()
    if not text:
        return f"{ADDRESS} is not set"
    not_one = f"{ADDRESS} is not a web address"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return not_one
    if not host or parts.scheme not in ("http", "https") or not text.isascii() or not text.isprintable() or " " in text:
        return not_one
    if parts.scheme == "http" and not _is_loopback(host):
        return f"{ADDRESS} is plain http, which anybody on the way can read; use https"
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}" if "@" in parts.netloc else ""
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Target(parts.scheme == "https", host, port, path, login)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _post(target: _Target, alert: Alert, timeout_s: float) -> _Answer:
    connection: http.client.HTTPConnection | None = None
    try:
        if target.secure:
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(target.host, target.port, timeout=timeout_s, context=context)
        else:
            connection = http.client.HTTPConnection(target.host, target.port, timeout=timeout_s)
        connection.request("POST", target.path, _cut(alert.text, LONGEST_TEXT).encode(), _headers(target, alert))
        return _judge(connection.getresponse().status)
    except Exception as error:  # noqa: BLE001 - an alert never stops what it tells of; the table has a line for each
        return next(answer for kind, answer in _FAILURES if isinstance(error, kind))
    finally:
        if connection is not None:
            connection.close()


def _judge(status: int) -> _Answer:
    if 200 <= status < 300:
        return _Answer(True, f"the server accepted it ({status})")
    if 300 <= status < 400:
        # followed, the alert would go to whomever the answer names
        return _Answer(False, f"the server sent us elsewhere ({status}); put the final address into {ADDRESS}")
    return _Answer(False, f"the server refused it ({status})", again=status == 429 or status >= 500)


def _headers(target: _Target, alert: Alert) -> Mapping[str, str]:
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "User-Agent": "aurora",
        "Title": _header(_cut(alert.title, LONGEST_TITLE)),
        "Priority": alert.priority.value,
        "Tags": ",".join(_header(_cut(tag, LONGEST_TAG).replace(",", " ")) for tag in alert.tags),
    }
    if target.login:
        headers["Authorization"] = "Basic " + b64encode(target.login.encode()).decode()
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
