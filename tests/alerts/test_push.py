from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest

from aurora.alerts import push
from aurora.alerts.base import Alert, Delivery, Priority
from aurora.alerts.by_apprise import LONGEST_TEXT
from aurora.alerts.push import PushNotifier, ask_a_process
from aurora.alerts.sender import answer_to
from aurora.alerts.web import Answer
from aurora.clock import ManualClock
from tests.push_server import DRIP, GARBAGE, HANG, TOPIC, PushServer, free_port, paths

START = datetime(2026, 1, 5, 14, 35, tzinfo=UTC)
ALERT = Alert("Kill switch", "a session halted", Priority.URGENT, ("kill-switch", "rotating_light"), START)
SECRETS = ("s3cr3t", "t0pic", "127.0.0.1", "hidden.example", "pa55word")


def here(said: Mapping[str, Any], bound_s: float) -> Answer:
    """Deliver in this process: the same code without the half second that another takes to load it."""
    return answer_to(said)


def send(address: str, alert: Alert = ALERT, timeout_s: float = 5.0, *, beside: bool = False) -> Delivery:
    """Push `alert` to `address`; pauses take no time. beside: in a process of its own, as it is done for real."""
    ask = ask_a_process if beside else here
    return PushNotifier({"NTFY_URL": address}, ManualClock(START), timeout_s=timeout_s, ask=ask).send(alert)


def check_no_secret(delivery: Delivery) -> None:
    """Fail when a part of an address stands in what is said of a delivery."""
    assert delivery.detail
    assert not [secret for secret in SECRETS if secret in delivery.detail]


# ── What is sent ─────────────────────────────────────────────────────────────────────────────────────────────────────
def test_accepted_push_is_one_post_of_ntfys_json() -> None:
    """Topic, title and text are JSON to the server's root, priority and tags ntfy's headers; nothing is sent twice."""
    with PushServer() as server:
        delivery = send(server.address, beside=True)
    (got,) = server.received
    assert (delivery.delivered, got.method, got.path, got.topic) == (True, "POST", "/", TOPIC)
    assert (got.title, got.text, got.priority) == ("Kill switch", "a session halted", "urgent")
    assert sorted(got.tags) == ["kill-switch", "rotating_light"]
    check_no_secret(delivery)


@pytest.mark.parametrize("priority", list(Priority))
def test_each_priority_is_a_word_of_ntfy(priority: Priority) -> None:
    """The five words are those of ntfy's documentation."""
    with PushServer() as server:
        send(server.address, replace(ALERT, priority=priority))
    assert server.received[0].priority == priority


def test_more_than_ascii_arrives() -> None:
    """Title and text beyond ASCII go as JSON; a tag goes as RFC 2047, which ntfy decodes."""
    with PushServer() as server:
        send(server.address, replace(ALERT, title="Verlust 5 € – Prüfen 🚨", text="größer als 2 %", tags=("größe",)))
    (got,) = server.received
    assert (got.title, got.text) == ("Verlust 5 € – Prüfen 🚨", "größer als 2 %")
    assert str(make_header(decode_header(got.tags[0]))) == "größe"


def test_no_header_can_be_smuggled_in() -> None:
    """Line breaks in a title become blanks, in a tag dashes; a comma in a tag makes no second one."""
    with PushServer() as server:
        assert send(server.address, replace(ALERT, title="a\r\nX-Evil: 1", tags=("b\nX-Evil: 2", "c,d"))).delivered
    (got,) = server.received
    assert got.headers["X-Evil"] is None
    assert (got.title, sorted(got.tags)) == ("a X-Evil: 1", ["b-X-Evil:-2", "c-d"])


@pytest.mark.parametrize("sign", ["ü", "🚨", "\0"])
def test_long_text_is_cut_and_says_so(sign: str) -> None:
    """A text longer than ntfy takes as a message, or than JSON holds, is cut at a whole character, with a sign."""
    with PushServer() as server:
        assert send(server.address, replace(ALERT, text=sign * 5000, title="t" * 5000, tags=("a" * 5000,))).delivered
    (got,) = server.received
    assert 900 < len(got.text.encode()) <= LONGEST_TEXT
    assert set(got.text[:-1]) == {sign}
    assert got.text.endswith("…")
    assert len(got.title) < 300
    assert len(got.tags[0]) < 200


@pytest.mark.parametrize(
    ("login", "query", "header"),
    [
        ("me:pa55word%21@", "", "Basic bWU6cGE1NXdvcmQh"),
        ("tk_abcdef@", "", "Bearer tk_abcdef"),
        ("", "?token=tk_abcdef", "Bearer tk_abcdef"),
        ("", "?auth=QmVhcmVyIHRrX2FiY2RlZg", "Bearer tk_abcdef"),  # as ntfy's documentation has it
        ("", "?auth=QmFzaWMgYldVNmNHRTFOWGR2Y21RaA==", "Basic bWU6cGE1NXdvcmQh"),
        ("", "", None),
    ],
)
def test_login_of_the_address_is_used(login: str, query: str, header: str | None) -> None:
    """A name with a password, a token, and ntfy's own `?auth=` become the header that ntfy asks for."""
    with PushServer() as server:
        assert send(server.address.replace("://", f"://{login}") + query).delivered
    (got,) = server.received
    assert (got.headers["Authorization"], got.path, got.topic) == (header, "/", TOPIC)


# ── What comes back ──────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("first", [500, 503, 429, HANG])
def test_passing_trouble_is_tried_once_more(first: int | str) -> None:
    """A server's trouble, a full quota and a time-out are tried again, once, after a pause; then it is delivered."""
    clock = ManualClock(START)
    with PushServer(first) as server:
        timeout_s = 1 if first == HANG else 5
        delivery = PushNotifier({"NTFY_URL": server.address}, clock, timeout_s=timeout_s, ask=here).send(ALERT)
    assert delivery.delivered
    assert "the second time" in delivery.detail
    assert len(server.received) == 2
    assert clock.monotonic() == push.PAUSE_S
    check_no_secret(delivery)


@pytest.mark.parametrize("answers", [(500, 502), (429, 429), (503, HANG), (HANG, HANG)])
def test_two_failures_are_the_end(answers: tuple[int | str, ...]) -> None:
    """After the second failure the alert is not delivered, and what both attempts met is said."""
    with PushServer(*answers) as server:
        delivery = send(server.address, timeout_s=1)
    assert not delivery.delivered
    assert len(server.received) == 2
    assert "the first time" in delivery.detail
    check_no_secret(delivery)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
def test_refusal_is_not_tried_again(status: int) -> None:
    """A server that says no would say no again; its status is named."""
    with PushServer(status) as server:
        delivery = send(server.address)
    assert (delivery.delivered, len(server.received)) == (False, 1)
    assert str(status) in delivery.detail


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(status: int) -> None:
    """An alert goes to the address that was set and nowhere else; the other address is not said either."""
    with PushServer() as other, PushServer(status, elsewhere=other.address) as server:
        delivery = send(server.address)
    assert (delivery.delivered, paths(server.received), other.received) == (False, ["/"], [])
    assert "elsewhere" in delivery.detail
    check_no_secret(delivery)


def test_nothing_listening_is_said() -> None:
    """A refused connection is tried twice and not delivered."""
    delivery = send(f"http://127.0.0.1:{free_port()}/{TOPIC}")
    assert not delivery.delivered
    assert "nothing listens" in delivery.detail
    check_no_secret(delivery)


def test_other_protocol_is_no_delivery() -> None:
    """What does not answer in HTTP has taken nothing."""
    with PushServer(GARBAGE, GARBAGE) as server:
        assert not send(server.address).delivered


@pytest.mark.parametrize("answer", [HANG, DRIP])
def test_deadline_holds_whatever_the_server_does(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is not back in time is killed: nothing waits for bytes that keep dripping in."""
    monkeypatch.setattr(push, "LOADING_S", 1.5)
    with PushServer(answer, answer) as server:
        delivery = send(server.address, timeout_s=0.3, beside=True)
    assert not delivery.delivered
    assert "in time" in delivery.detail


@pytest.mark.parametrize(
    "error",
    [
        socket.gaierror(-2, "Name or service not known: hidden.example"),
        OSError(101, "Network is unreachable", "hidden.example"),
        ConnectionRefusedError("hidden.example"),
        UnicodeError("label too long in hidden.example"),
        ssl.SSLCertVerificationError("certificate is not valid for 'hidden.example'"),
        ssl.SSLError("hidden.example"),
        RuntimeError("https://hidden.example/t0pic"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_words_of_foreign_errors_are_not_passed_on(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails below, nothing is raised, and what is said holds no part of the address."""

    def fail(*args: Any, **more: Any) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    delivery = send("https://me:pa55word@hidden.example/s3cr3t")
    assert not delivery.delivered
    check_no_secret(delivery)


# ── Addresses ────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "NTFY_URL is not set"),
        ("  \n", "NTFY_URL is not set"),
        ("hidden.example/t0pic", "not an address"),
        ("ntfy://hidden.example/t0pic", "plain http"),
        ("file:///etc/s3cr3t", "knows no such address"),
        ("json://hidden.example/t0pic", "not encrypted"),
        ("https:///t0pic", "not an address"),
        ("https://hidden.example", "names no topic"),
        ("https://hidden.example/t0pic/more", "names no topic"),
        ("https://hidden.example/t0pic?auth=a", "could not read"),
        ("https://hidden.example:99999/t0pic", "not an address"),
        ("https://[hidden.example/t0pic", "not an address"),
        ("https://hidden.example/t0\npic", "not an address"),
        ("https://hidden.example/t0 pic", "not an address"),
        ("https://hidden.example/tópic", "not an address"),
        ("http://hidden.example/t0pic", "plain http"),
        ("http://127.0.0.1.hidden.example/t0pic", "plain http"),
        ("http://127.0.0.1@hidden.example/t0pic", "plain http"),
        ("http://0.0.0.0/t0pic", "plain http"),
        ("http://192.168.0.1/t0pic", "plain http"),
    ],
)
def test_unusable_address_is_never_connected_to(address: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong address, or plain http to another machine, is said without quoting it, and no byte leaves."""

    def fail(*args: Any) -> None:
        raise AssertionError("a name was looked up")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    delivery = send(address)
    assert not delivery.delivered
    assert said in delivery.detail
    check_no_secret(delivery)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "[::1]", "LOCALHOST"])
def test_plain_http_is_for_this_machine(host: str) -> None:
    """Plain http goes to loopback only, whatever it is called."""
    assert "plain" not in send(f"http://{host}:{free_port()}/t").detail


def test_blanks_around_the_address_do_no_harm() -> None:
    """An address that was pasted with a line break is used without it."""
    with PushServer() as server:
        assert send(f" {server.address}\n").delivered


def test_address_does_not_show_in_the_notifier() -> None:
    """What a debugger or an error would print of a notifier holds no address."""
    notifier = PushNotifier({"NTFY_URL": "https://me:pa55word@hidden.example/s3cr3t"}, ManualClock(START))
    assert not [secret for secret in SECRETS if secret in f"{notifier!r} {notifier._addresses!r}"]


# ── Several, and other services ──────────────────────────────────────────────────────────────────────────────────────
def test_each_address_is_told_and_named() -> None:
    """A person is told when one of several took it; which did not is named, by its variable and never its value."""
    with PushServer() as one, PushServer(403) as other:
        addresses = {"NTFY_URL": one.address, "PAGER_URL": other.address.replace("http", "json"), "MAIL_URL": ""}
        pushed = PushNotifier(addresses, ManualClock(START)).send(ALERT)
    assert (pushed.delivered, pushed.left) == (True, ("PAGER_URL", "MAIL_URL"))
    assert "PAGER_URL: the server refused it (403); MAIL_URL: MAIL_URL is not set" in pushed.detail
    assert (len(one.received), len(other.received)) == (1, 1)
    check_no_secret(pushed)


def test_another_service_of_apprise_gets_priority_and_tags() -> None:
    """What has no field for them has them in its text: apprise's JSON stands for the hundred others."""
    with PushServer() as server:
        assert send(server.address.replace("http", "json")).delivered
    said = json.loads(server.received[0].text)
    assert (said["title"], said["type"]) == ("Kill switch", "failure")
    assert said["message"] == "a session halted\n[kill-switch, rotating_light] urgent"


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a key and a certificate of its own signing for 127.0.0.1."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate; it is not here")
    folder = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(["openssl", "req", "-x509", *curve, *names, *files], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return both


def test_certificate_is_checked(certificate: Path) -> None:
    """A server whose certificate nobody vouches for gets no byte of the alert, and is not asked again."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with PushServer(tls=tls) as server:
        delivery = send(server.address)
    assert (delivery.delivered, server.received) == (False, [])
    assert "certificate" in delivery.detail
    check_no_secret(delivery)


def test_trusted_certificate_is_taken(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose certificate the machine trusts gets the alert; for another name the same one is refused."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_name("cert.pem")))
    with PushServer(tls=tls) as server:
        assert send(server.address, beside=True).delivered
        wrong = send(server.address.replace("127.0.0.1", "localhost"), beside=True)
    assert (wrong.delivered, len(server.received)) == (False, 1)
    assert "certificate" in wrong.detail
    assert "localhost" not in wrong.detail
