"""A server on loopback that keeps issues, a branch and its checks as GitHub's REST interface does."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GREEN = {"smoke": "success", "Promote gate": "success", "Datasanity": "success", "model_eval": "success"}
CHECKS = ["Smoke / smoke", "Smoke / Promote gate", "Datasanity", "model_eval"]
SECRET = "tok-en-that-nobody-sees"


class GitHub:
    """What the server keeps: issues with comments, a branch, and how it answers while `status` is not 200."""

    def __init__(self) -> None:
        self.issues: list[dict[str, Any]] = []
        self.status = 200
        self.required: list[str] | None = CHECKS
        self.runs = dict(GREEN)
        self.took: dict[str, int | None] = {}
        self.secrets: list[str] = []
        self.variables: list[str] = []
        self.raw = b""
        self.asked: list[str] = []
        self.tokens: set[str] = set()

    def answer(self, method: str, path: str, body: Any) -> Any:
        """Return what GitHub's REST interface says."""
        where = path.partition("?")[0].removeprefix("/repos/desk/aurora")
        if match := re.fullmatch(r"/issues/(\d+)/comments", where):
            issue = self.issues[int(match[1]) - 1]
            if method == "POST":
                issue["said"].append({"id": len(issue["said"]) + 1, "body": body["body"]})
                return issue["said"][-1]
            return issue["said"]
        if where == "/issues":
            if method == "POST":
                number = len(self.issues) + 1
                self.issues.append({**body, "number": number, "state": "open", "said": [], "id": number})
                self.issues[-1]["url"] = f"{self.address}/repos/desk/aurora/issues/{number}"
                self.issues[-1]["labels"] = [{"name": name} for name in body["labels"]]
                return self.issues[-1]
            return [issue for issue in self.issues if issue["state"] == "open"]
        if where == "/branches/main":
            url = f"{self.address}/repos/desk/aurora"
            sha = "c0ffee" * 6 + "c0ff"
            commit = {"sha": sha, "url": f"{url}/commits/{sha}"}
            guarded = {"protected": self.required is not None, "protection_url": f"{url}/branches/main/protection"}
            return {"name": "main", "commit": commit, **guarded}
        if where.endswith("/required_status_checks"):
            return {"strict": True, "contexts": self.required, "url": "x"}
        if where.endswith("/check-runs"):
            runs = [{"id": n, "name": name, "status": "completed", "conclusion": end, **self.times(name)}
                    for n, (name, end) in enumerate(self.runs.items())]  # fmt: skip
            return {"total_count": len(runs), "check_runs": runs}
        if where in ("/actions/secrets", "/actions/variables"):
            kind = where.rpartition("/")[2]
            held = [{"name": name, **({"value": "v"} if kind == "variables" else {})} for name in getattr(self, kind)]
            return {"total_count": len(held), kind: held}
        return {"statuses": [], "state": "success"}

    def times(self, name: str) -> dict[str, str | None]:
        """Return when a check began and ended: 41 seconds unless said otherwise."""
        took = self.took.get(name, 41)
        end = None if took is None else f"2026-01-05T14:3{took // 60}:{took % 60:02}Z"
        return {"started_at": "2026-01-05T14:30:00Z", "completed_at": end}

    address = ""

    @property
    def environment(self) -> dict[str, str]:
        return {"GITHUB_TOKEN": SECRET, "GITHUB_REPOSITORY": "desk/aurora", "GITHUB_API_URL": self.address}


@contextmanager
def serve_github() -> Iterator[GitHub]:
    """Yield a GitHub on loopback."""
    made = GitHub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            made.asked.append(f"{self.command} {self.path}")
            made.tokens.add(str(self.headers.get("Authorization")))
            said = made.answer(self.command, self.path, json.loads(raw or b"null")) if made.status == 200 else {}
            text = made.raw or json.dumps(said if made.status == 200 else {"message": "no"}).encode()
            self.send_response(201 if made.status == 200 and self.command == "POST" else made.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the standard library gave it
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
