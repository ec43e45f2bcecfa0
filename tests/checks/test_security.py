"""bandit on bad code, pip-audit against an OSV service on loopback: real programs; silence is not clean."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from aurora.checks.security import Security, look_at_security
from tests.push_server import free_port

LOCK = "packaging==26.0 \\\n    --hash=sha256:" + "0" * 64 + "\n"
HOLE = {
    "id": "GHSA-x", "summary": "bad", "details": "d", "published": "2026-01-01T00:00:00Z",
    "modified": "2026-01-01T00:00:00Z", "affected": [{
        "package": {"name": "packaging", "ecosystem": "PyPI"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0"}]}],
    }],
}  # fmt: skip


@pytest.fixture
def osv() -> Iterator[list[Any]]:
    """Run an OSV service that knows the holes in the list; its address is the list's last item."""
    holes: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"vulns": holes[:-1]} if holes[:-1] else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        holes.append(f"http://127.0.0.1:{server.server_port}/v1/query")
        yield holes
        server.shutdown()
        thread.join()


def look(root: Path, code: str, service: str, lock: str = LOCK) -> Security:
    """Look at a project of one module and one dependency."""
    (root / "code").mkdir()
    (root / "code/module.py").write_text(code)
    if lock:
        (root / "run.lock").write_text(lock)
    return look_at_security(root, ["code"], "run.lock", service)


def test_clean_code_and_packages_are_clean(tmp_path: Path, osv: list[Any]) -> None:
    """Code was read, each package was asked about, and nothing was found."""
    found = look(tmp_path, "VALUE = 7\n", osv[-1])
    assert (found.scanned, found.lines, found.high, found.findings) == (True, 1, 0, [])
    assert (found.audited, found.packages, found.vulnerable, found.notes) == (True, 1, [], [])


def test_a_hole_is_named_by_severity_and_package(tmp_path: Path, osv: list[Any]) -> None:
    """Bandit's findings count by their severity; a package with a hole is named, and what mends it."""
    osv.insert(0, HOLE)
    code = "import subprocess\nsubprocess.run('ls', shell=True)\nimport pickle\npickle.loads(b'')\n"
    found = look(tmp_path, code, osv[-1])
    assert (found.high, found.medium) == (0, 1)
    assert found.low > 0
    assert any("code/module.py:4: medium B301" in text for text in found.findings)
    assert found.vulnerable == ["packaging 26.0: GHSA-x; mended in 99.0"]


def test_no_network_is_not_audited(tmp_path: Path) -> None:
    """Where nobody answers nothing was audited, and that is said; the code is scanned all the same."""
    found = look(tmp_path, "import hashlib\nhashlib.md5(b'')\n", f"http://127.0.0.1:{free_port()}/v1/query")
    assert (found.audited, found.scanned, found.high) == (False, True, 1)
    assert "did not answer" in found.notes[0]


@pytest.mark.parametrize(
    ("code", "lock", "said"),
    [
        ("def broken(:\n", "", "bandit did not read all"),
        ("", "", "bandit did not read all"),
        ("A = 1\n", "", "there is no run.lock"),
        ("A = 1\n", "# nothing\n", "not audited"),
    ],
)
def test_what_cant_be_looked_at_is_not_clean(tmp_path: Path, code: str, lock: str, said: str) -> None:
    """Code that can't be parsed, no code and no lock are not known, never clean."""
    found = look(tmp_path, code, f"http://127.0.0.1:{free_port()}/v1/query", lock)
    assert any(said in note for note in found.notes), found.notes
    assert not (found.scanned and found.audited)
