"""A server on loopback that takes what a push would send, and answers as it is told to."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

HANG = "hang"
DRIP = "drip"
GARBAGE = "garbage"
TOPIC = "s3cr3t-t0pic"


@dataclass(frozen=True)
class Received:
    """One request as it came; of ntfy's JSON, topic, title and text as it would read them."""

    method: str
    path: str
    headers: Message
    text: str
    title: str = ""
    topic: str = ""

    @property
    def priority(self) -> str:
        """Return the word that ntfy would take: none is its default, and it has two for the loudest."""
        return str(self.headers.get("X-Priority", "default")).replace("max", "urgent")

    @property
    def tags(self) -> list[str]:
        """Return the tags as ntfy splits them."""
        return str(self.headers.get("X-Tags", "")).split(",")


def received(method: str, path: str, headers: Message, text: str) -> Received:
    """Return a request as it came, ntfy's JSON taken apart (https://docs.ntfy.sh/publish/#publish-as-json)."""
    try:
        said = json.loads(text)
        return Received(method, path, headers, said.get("message", ""), said.get("title", ""), said["topic"])
    except (ValueError, KeyError, AttributeError, TypeError):
        return Received(method, path, headers, text)


class PushServer:
    """Answers the first requests with `answers` (a status, HANG, DRIP, GARBAGE), all later ones with 200.

    elsewhere: the Location that a redirect names. tls: a context to serve https with.
    """

    def __init__(self, *answers: int | str, elsewhere: str = "", tls: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self.elsewhere = elsewhere
        self.released = threading.Event()
        self._answers = list(answers)
        self._scheme = "http" if tls is None else "https"
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def next_answer(self, received: Received) -> int | str:
        """Keep `received`; return how to answer it."""
        self.received.append(received)
        return self._answers.pop(0) if self._answers else 200

    @property
    def address(self) -> str:
        """Return what NTFY_URL would say."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}/{TOPIC}"

    def __enter__(self) -> PushServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: that a client hangs up is what some tests want."""


def _handler(desk: PushServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.take()

        def do_GET(self) -> None:
            self.take()

        def take(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            answer = desk.next_answer(received(self.command, self.path, self.headers, text))
            if answer == HANG:
                desk.released.wait(30)
            elif answer == DRIP:
                self.drip()
            elif answer == GARBAGE:
                self.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")
            else:
                self.send_response(int(answer))
                if desk.elsewhere:
                    self.send_header("Location", desk.elsewhere)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def drip(self) -> None:
            for byte in b"HTTP/1.1 200 " + b"O" * 1000:
                self.wfile.write(bytes([byte]))
                if desk.released.wait(0.05):
                    return

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the standard library gave it
            pass

    return Handler


def free_port() -> int:
    """Return a port at which nothing listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return server.server_port


def paths(received: Sequence[Received]) -> list[str]:
    """Return which paths were asked for, in their order."""
    return [each.path for each in received]
