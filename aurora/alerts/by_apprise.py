"""One attempt to deliver an alert to one address, by apprise: ntfy's own plugin, or the one that the address names.

Apprise's own words may quote an address, so what is said here comes from what requests saw: a status, or an error.
"""

from __future__ import annotations

import json
import logging
import warnings
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aurora.alerts.address import Address
from aurora.alerts.base import Alert, Priority
from aurora.alerts.web import NO_ANSWER, Answer, is_loopback, judge

LONGEST_TEXT = 4000
"""In bytes: ntfy turns more than 4,096 into an attachment, which not every server takes."""

LONGEST_JSON = 7000
"""Of a text as JSON: apprise turns more than 8,000 bytes into an attachment."""

LONGEST_TITLE = 200
LONGEST_TAG = 60
_LOUD = {Priority.HIGH: "warning", Priority.URGENT: "failure"}
_WORD = {Priority.URGENT: "max"}
_NOT_TRUSTED = Answer(False, "the server's certificate is not to be trusted")


def deliver(address: Address, alert: Alert, timeout_s: float) -> Answer:
    """Deliver `alert` to `address`, or say why not; never raises. The caller bounds it: a name's look-up has no end."""
    logging.getLogger("apprise").disabled = True  # its lines hold topics
    seen: list[Answer] = []
    try:
        with _seen(seen), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a hundred plugins: nobody here can mend them
            plugin = _plugin(address, alert, timeout_s)
            if isinstance(plugin, Answer):
                return plugin
            taken = _send(plugin, address, alert)
    except Exception as error:  # noqa: BLE001 - no message stops what it tells of
        return seen[-1] if seen else Answer(False, f"the address can't be used ({type(error).__name__})")
    if taken:
        return next((each for each in reversed(seen) if each.accepted), Answer(True, f"{address.kind} accepted it"))
    refused = next((each for each in reversed(seen) if not each.accepted), None)
    return refused or Answer(False, f"{address.kind} did not take it: look at its topic, token and rights", again=True)


def _plugin(address: Address, alert: Alert, timeout_s: float) -> Any:
    from apprise import Apprise, AppriseAsset  # noqa: PLC0415 - half a second, in the process that sends

    asset = AppriseAsset(app_id="aurora", http_redirects=False, async_mode=False)
    if address.ntfy:
        from apprise.plugins.ntfy import NotifyNtfy  # noqa: PLC0415 - without the other hundred plugins

        word = _WORD.get(alert.priority, alert.priority.value)
        tags = [_header(cut(tag, LONGEST_TAG)) for tag in alert.tags]
        bounds = {"cto": timeout_s, "rto": timeout_s}
        options = {"priority": word, "xtags": [tag for tag in tags if tag], "include_image": False, "mode": "private"}
        return NotifyNtfy(  # type: ignore[no-untyped-call]
            asset=asset, **address.ntfy, **options, **bounds
        )
    plugin: Any = Apprise.instantiate(address.text, asset=asset, suppress_exceptions=True)
    if plugin is None:
        return Answer(False, "apprise knows no such address; see apprise's list of services")
    secure: Any = plugin.secure_protocol
    if address.kind not in ([secure] if isinstance(secure, str) else secure or ()) and not is_loopback(
        plugin.host or ""
    ):
        return Answer(False, f"{address.kind}: is not encrypted; use its secure form, like {address.kind}s:")
    plugin.socket_connect_timeout = plugin.socket_read_timeout = timeout_s
    return plugin


def _send(plugin: Any, address: Address, alert: Alert) -> bool:
    from apprise import NotifyType  # noqa: PLC0415 - as in `_plugin`

    title, text = _line(cut(alert.title, LONGEST_TITLE)), _fitting(alert.text)
    loud = NotifyType(_LOUD.get(alert.priority, "info"))
    if address.ntfy:
        # not `notify`, which splits and strips: what is sent is what was signed for
        return bool(plugin.send(text, title=title, notify_type=loud))
    words = f"[{', '.join(_line(tag) for tag in alert.tags)}] {alert.priority.value}" if alert.tags else ""
    return bool(plugin.notify(body=f"{text}\n{words}".strip() or "-", title=title, notify_type=loud))


@contextmanager
def _seen(answers: list[Answer]) -> Iterator[None]:
    """Hear what requests' adapter meets while the block runs: apprise itself only says yes or no."""
    from requests import exceptions  # noqa: PLC0415 - with apprise
    from requests.adapters import HTTPAdapter  # noqa: PLC0415 - the same

    send = HTTPAdapter.send

    def hearing(self: HTTPAdapter, *args: Any, **more: Any) -> Any:
        try:
            response = send(self, *args, **more)
        except exceptions.SSLError as error:
            untrusted = "CERTIFICATE_VERIFY" in str(error) or "doesn't match" in str(error)
            answers.append(
                _NOT_TRUSTED if untrusted else Answer(False, "no secure connection could be made", again=True)
            )
            raise
        except exceptions.Timeout:
            answers.append(NO_ANSWER)
            raise
        except exceptions.ConnectionError as error:
            answers.append(_connection(error))
            raise
        answers.append(judge(response.status_code))
        return response

    HTTPAdapter.send = hearing  # type: ignore[method-assign]
    try:
        yield
    finally:
        HTTPAdapter.send = send  # type: ignore[method-assign]


def _connection(error: Exception) -> Answer:
    """Return what broke, from the names of the errors below: their texts quote the address."""
    names: list[str] = []
    cause = error.args[0] if error.args else None
    while cause is not None and len(names) < 8:
        names.append(type(cause).__name__)
        cause = (
            getattr(cause, "reason", None) or getattr(cause, "__cause__", None) or getattr(cause, "__context__", None)
        )
        cause = cause if isinstance(cause, BaseException) else None
    if "NameResolutionError" in names or "gaierror" in names:
        return Answer(False, "the server's name could not be looked up", again=True)
    if "ConnectionRefusedError" in names:
        return Answer(False, "nothing listens at that address", again=True)
    if "BadStatusLine" in names:
        return Answer(False, "what answered does not speak HTTP")
    return Answer(False, "the connection failed", again=True)


def _fitting(text: str) -> str:
    """Return `text`, cut to what ntfy takes as a message and apprise sends as one."""
    longest = LONGEST_TEXT
    while len(json.dumps(fits := cut(text, longest))) > LONGEST_JSON:
        longest = longest * 3 // 4
    return fits


def _header(text: str) -> str:
    """Return a tag as one word of a header, without the comma that parts tags; RFC 2047 where it is beyond ASCII."""
    word = "-".join(text.replace(",", " ").split())
    if word.isascii() and word.isprintable():
        return word
    return f"=?UTF-8?B?{b64encode(word.encode('utf-8', 'replace')).decode()}?="


def _line(text: str) -> str:
    return " ".join(text.split()) or "Aurora"


def cut(text: str, longest: int) -> str:
    """Return `text`, or as much of its start as fits into `longest` bytes with a sign that more was said."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= longest:
        return raw.decode()
    return raw[: longest - 3].decode("utf-8", "ignore") + "…"
