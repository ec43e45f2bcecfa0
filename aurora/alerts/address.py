"""Addresses that alerts go to: ntfy's as a browser shows it, or any of apprise's. Each is a secret, and never said."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from aurora.alerts.web import is_loopback

DEFAULT = "NTFY_URL"
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NTFY = {"http": False, "https": True, "ntfy": False, "ntfys": True}
_CLOUD = "ntfy.sh"


@dataclass(frozen=True, repr=False)
class Address:
    """A usable address. kind: what it is called in words. ntfy: arguments of apprise's own plugin for ntfy."""

    kind: str
    text: str
    ntfy: Mapping[str, Any] = field(default_factory=dict)


def read_address(text: str, name: str) -> Address | str:
    """Return the address in `text`, or why it can't be used; name: the variable that holds it."""
    text = text.strip()
    if not text:
        return f"{name} is not set"
    not_one = f"{name} is not an address: write https://HOST/TOPIC, or one of apprise's"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return not_one
    if not text.isascii() or not text.isprintable() or " " in text or "://" not in text:
        return not_one
    if parts.scheme not in _NTFY:
        return Address(parts.scheme, text)
    topic = parts.path.strip("/")
    if not topic and parts.scheme.startswith("ntfy"):
        host, topic, port = _CLOUD, parts.netloc, None  # ntfy://TOPIC is of the public server, always by TLS
    if not host:
        return not_one
    secure = _NTFY[parts.scheme] or host == _CLOUD
    if not secure and not is_loopback(host):
        return f"{name} is plain http, which anybody on the way can read; use https"
    if not _TOPIC.fullmatch(topic):
        return f"{name} names no topic of ntfy after its host: letters, digits, - and _, 64 at most"
    login = _login(parts.username, parts.password, parse_qs(parts.query))
    if login is None:
        return f"{name} has an auth= or a token that ntfy could not read"
    # apprise puts host and port together itself, and knows no brackets
    shown = f"[{host}]" if ":" in host else host
    return Address("ntfy", text, {"host": shown, "port": port, "secure": secure, "targets": [topic], **login})


def _login(user: str | None, password: str | None, query: Mapping[str, list[str]]) -> dict[str, str] | None:
    """Return how to log in, as ntfy's address says it: user:password@, tk_…@, ?token= or ?auth= (a header, base64)."""
    token = query.get("token", [""])[0]
    if encoded := query.get("auth", [""])[0]:
        try:
            scheme, _, rest = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode().partition(" ")
            if scheme.lower() == "bearer":
                token = rest
            else:
                user, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
    if not token and user and not password and user.startswith("tk_"):
        token = user
    if token:
        return {"auth": "token", "token": unquote(token)} if unquote(token).isprintable() else None
    return {"user": unquote(user), "password": unquote(password or "")} if user else {}
