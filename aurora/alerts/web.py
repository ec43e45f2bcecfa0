"""One HTTP POST to an address that is a secret: who knows it may write there.

Errors of the libraries may quote the address or its host, so every word said here is our own.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Thread
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Answer:
    """What came of one attempt. again: a second one may end better."""

    accepted: bool
    detail: str
    again: bool = False


NO_ANSWER = Answer(False, "the server did not answer in time", again=True)
_FAILURES: tuple[tuple[type[Exception], Answer], ...] = (
    # the first that fits counts
    (ssl.SSLCertVerificationError, Answer(False, "the server's certificate is not to be trusted")),
    (ssl.SSLError, Answer(False, "no secure connection could be made", again=True)),
    (TimeoutError, NO_ANSWER),
    (socket.gaierror, Answer(False, "the server's name could not be looked up", again=True)),
    (ConnectionRefusedError, Answer(False, "nothing listens at that address", again=True)),
    (OSError, Answer(False, "the connection failed", again=True)),
    (http.client.HTTPException, Answer(False, "what answered does not speak HTTP")),
    (Exception, Answer(False, "the address can't be used")),
)


@dataclass(frozen=True, repr=False)
class Target:
    """A usable address, in parts."""

    secure: bool
    host: str
    port: int | None
    path: str
    login: str


def read_target(address: str, name: str) -> Target | str:
    """Return the parts of `address`, or why it can't be used; name: the variable that holds it."""
    text = address.strip()
    if not text:
        return f"{name} is not set"
    not_one = f"{name} is not a web address"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return not_one
    if not host or parts.scheme not in ("http", "https") or not text.isascii() or not text.isprintable() or " " in text:
        return not_one
    if parts.scheme == "http" and not is_loopback(host):
        return f"{name} is plain http, which anybody on the way can read; use https"
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}" if "@" in parts.netloc else ""
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme == "https", host, port, path, login)


def is_loopback(host: str) -> bool:
    """Return whether `host` is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def post(target: Target, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Answer:
    """Post in a thread that is left behind: no socket's timeout bounds a name's look-up or an answer that drips."""
    answers: list[Answer] = []
    thread = Thread(target=lambda: answers.append(_post(target, body, headers, timeout_s)), daemon=True)
    thread.start()
    thread.join(timeout_s)
    return answers[0] if answers else NO_ANSWER


def _post(target: Target, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Answer:
    connection: http.client.HTTPConnection | None = None
    try:
        if target.secure:
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(target.host, target.port, timeout=timeout_s, context=context)
        else:
            connection = http.client.HTTPConnection(target.host, target.port, timeout=timeout_s)
        login = {"Authorization": f"Basic {b64encode(target.login.encode()).decode()}"} if target.login else {}
        connection.request("POST", target.path, body, {"User-Agent": "aurora", **headers, **login})
        return judge(connection.getresponse().status)
    except Exception as error:  # noqa: BLE001 - no message stops what it tells of; the table has a line for each
        return next(answer for kind, answer in _FAILURES if isinstance(error, kind))
    finally:
        if connection is not None:
            connection.close()


def judge(status: int) -> Answer:
    """Return what an HTTP status says of a message."""
    if 200 <= status < 300:
        return Answer(True, f"the server accepted it ({status})")
    if 300 <= status < 400:
        # followed, the message would go to whomever the answer names
        return Answer(False, f"the server sent us elsewhere ({status}); put the final address there")
    return Answer(False, f"the server refused it ({status})", again=status == 429 or status >= 500)
