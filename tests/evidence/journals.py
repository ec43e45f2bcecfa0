"""Journals made by hand, as an engine would have written them: a green rehearsal, a red one, an interrupted one."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 11, 23, 14, 12, 4, 250000, tzinfo=UTC)


class Book:
    """Writes events with sequence numbers, times and a hash chain, and keeps the plan that they speak of."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.now = START
        self.head = "0" * 64
        self.entries: list[dict[str, Any]] = []

    def add(self, type_: str, after: float = 0.02, **data: Any) -> None:
        self.now += timedelta(seconds=after)
        ts = self.now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        line = {"seq": len(self.events) + 1, "prev": self.head, "ts": ts, "type": type_, "data": data}
        line = json.loads(json.dumps(line))
        self.head = hashlib.sha256(json.dumps(line, separators=(",", ":")).encode() + b"\n").hexdigest()
        self.events.append(line)

    def entry(self, id_: str, title: str, kind: str = "uses", **more: Any) -> None:
        prefix = id_.rpartition("/")[0]
        plan: dict[str, Any] = {
            "id": id_,
            "kind": kind,
            "title": title,
            "uses": f"{'desk' if '/' in id_ else 'session'}.{id_.rpartition('/')[2]}" if kind == "uses" else None,
            "runbook": None,
            "needs": [],
            "parent": prefix or None,
            "section": "steps",
            "gates": [],
            "if": None,
            "foreach": False,
            "prompt": None,
            "checklist": [],
            "effects": [],
        }
        plan.update(more)
        plan["gates"] = [
            gate if isinstance(gate, dict) else {"check": gate, "severity": "blocking", "message": None}
            for gate in plan["gates"]
        ]
        self.entries.append(plan)

    def chain(self) -> None:
        """Let each `steps` entry need the one before it in its own runbook, as file order does."""
        last: dict[Any, str] = {}
        for entry in self.entries:
            if entry["section"] == "steps":
                if not entry["needs"] and entry["parent"] in last:
                    entry["needs"] = [last[entry["parent"]]]
                last[entry["parent"]] = entry["id"]

    def open(self, **more: Any) -> None:
        data: dict[str, Any] = {
            "schema": 1,
            "run": "20261123-141204-go-live-7f3a",
            "runbook": "go-live",
            "title": "Flip the canary to live",
            "params": {"symbols": ["SPY", "TSLA"], "profile": "sim", "poll_sec": 5, "per_trade_notional": "2500.00"},
            "profile": {
                "name": "sim",
                "digest": "9b1c" * 16,
                "files": ["profiles/base.yaml", "profiles/sim.yaml"],
            },
            "mode": "paper",
            "venue": "simulated",
            "simulated": True,
            "dry_run": False,
            "answers": {"file": "rehearsal.answers.yaml", "sha256": "ab12" * 16},
            "red_exit": 3,
            "operator": {"os_user": "mira", "host": "desk-3", "terminal": True},
            "versions": {"aurora": "0.1.0", "python": "3.11.9", "platform": "Linux-6.1-x86_64"},
            "code": {"commit": "4f0e2d91c7b35a6688a0c1d2e3f4a5b6c7d8e9f0", "dirty": False},
            "locks": ["account:sim", "run:go-live"],
            "inputs": [
                {"name": "runbooks/go-live.yaml", "sha256": "11aa" * 16},
                {"name": "runbooks/eod.yaml", "sha256": "22bb" * 16},
                {"name": "profiles/sim.yaml", "sha256": "33cc" * 16},
            ],
            "requires": [
                {"runbook": "preflight", "outcome": "green", "within": "12h", "same": ["profile"],
                 "verdict": "not checked", "reason": "a simulated venue asks for no evidence"},
                {"runbook": "warmup", "outcome": "green", "within": "12h", "same": ["profile", "symbols"],
                 "verdict": "not checked", "reason": "a simulated venue asks for no evidence"},
            ],
            "plan": self.entries,
            "pid": 4211,
        }  # fmt: skip
        data.update(more)
        self.add("run.opened", **data)

    def start(self, step: str, attempt: int = 1, with_: dict[str, Any] | None = None) -> None:
        token = f"20261123-141204-go-live-7f3a:{step}:{attempt}"
        given: dict[str, Any] = {"with": with_ or {}}
        self.add("step.started", step=step, attempt=attempt, token=token, **given)

    def finish(self, step: str, status: str = "passed", seconds: float = 0.4, **more: Any) -> None:
        data = {
            "step": step,
            "attempt": 1,
            "status": status,
            "reason": "",
            "outputs": None,
            "gates": [],
            "error": None,
            "elapsed_s": seconds,
            "log": [],
            "artifacts": [],
            "simulated": False,
        }
        data.update(more)
        self.add("step.finished", after=seconds, **data)

    def run(self, step: str, seconds: float = 0.4, *, with_: dict[str, Any] | None = None, **more: Any) -> None:
        self.start(step, with_=with_)
        self.finish(step, seconds=seconds, **more)

    def confirm(self, step: str, lines: list[str], *, by: str = "script rehearsal", source: str = "scripted") -> None:
        entry = next(entry for entry in self.entries if entry["id"] == step)
        self.add("prompt.opened", step=step, prompt=entry["prompt"], checklist=lines, timeout_s=600, digest="d" * 64)
        self.add(
            "prompt.answered",
            after=3.2,
            step=step,
            accepted=True,
            by=by,
            source=source,
            reason="answered",
            answers=[{"line": line, "answer": "yes"} for line in lines],
        )
        self.finish(step, seconds=0, reason=f"confirmed by {by}")

    def close(self, outcome: str = "green", exit_code: int = 0) -> None:
        elapsed = (self.now - START).total_seconds()
        self.add("run.finished", outcome=outcome, exit_code=exit_code, elapsed_s=elapsed)


def gate(check: str, verdict: str = "pass", severity: str = "blocking", **values: str) -> dict[str, Any]:
    """Return a decided gate."""
    return {
        "check": check,
        "severity": severity,
        "verdict": verdict,
        "values": values,
        "message": None,
        "error": None,
    }


T0 = ["Positions are flat", "Rollback plan is open in another window", "Nobody else trades this account today"]


def plan(book: Book) -> None:
    """Lay out the go-live rehearsal: three checks side by side, sub-runbooks, a foreach, a failure path, a finally."""
    book.entry("clock", "Clock drift is below two seconds", gates=["abs(drift_s) < 2"])
    book.entry("profile_caps", "Caps of the profile are sane", gates=["per_trade_pct <= 2", "daily_pct <= 10"])
    book.entry(
        "branch",
        "Branch protection requires the four checks",
        "confirm",
        needs=["clock"],
        prompt="Branch protection",
        checklist=["Smoke / smoke", "Promote gate", "Datasanity", "model_eval"],
    )
    book.entry(
        "account",
        "Positions and cash can be read, and positions are flat",
        needs=["clock"],
        gates=["positions == []", "cash > 0"],
    )
    book.entry("secrets", "Broker keys and the alert URL are set", needs=["clock"], gates=["missing == []"])
    book.entry(
        "quotes",
        "Quotes of each symbol are fresh",
        needs=["account"],
        foreach=True,
        gates=["age_s < 1.5", "spread_bps < 50"],
    )
    book.entry(
        "kill_switch",
        "Kill switch halts a running session and notifies",
        needs=["branch", "secrets", "quotes"],
        gates=["halted and notified"],
    )
    book.entry("warmup", "Warm up in shadow on the same quotes", "runbook", runbook="warmup")
    book.entry("warmup/shadow", "Shadow session", effects=[], gates=["anomalies == []", "fallbacks == 0"])
    book.entry("warmup/reconcile", "Orders reconcile", gates=["drift == []"])
    book.entry("t0", "T-0 checks", "confirm", prompt="T-0 checks, the last look before orders are sent", checklist=T0)
    book.entry("grant", "Every guard of opening orders holds", "gate", gates=["steps.kill_switch.halted"])
    book.entry(
        "live",
        "Tiny-live session",
        effects=["orders.open", "orders.reduce"],
        gates=[
            "anomalies == []",
            "fallbacks == 0",
            {"check": "loop_p95_ms < profile.slo.loop_p95_ms", "severity": "advisory", "message": "the loop is slow"},
        ],
    )
    book.entry(
        "live/on_failure",
        "After a failure of Tiny-live session",
        "runbook",
        runbook="emergency",
        section="on_failure",
        parent=None,
    )
    book.entry("live/on_failure/stop", "Write the kill flag")
    book.entry("live/on_failure/flatten", "Flatten all positions", effects=["orders.reduce"], gates=["positions == []"])
    book.entry("models_off", "Switch models off", **{"if": "params.models_off"})
    book.entry("eod", "End of day", "runbook", runbook="eod", section="finally")
    book.entry("eod/reconcile", "Orders, fills and positions reconcile with the venue", gates=["drift == []"])
    book.entry("eod/rollup", "Roll up slippage and turnover", gates=["slippage_p95_bps < 12"])
    book.entry("eod/flat", "The book is flat", "gate", gates=["steps.reconcile.flat"])
    book.entry("notify", "Say how it went", section="finally")
    book.chain()


def preamble(book: Book, by: str = "script rehearsal", source: str = "scripted") -> None:
    """Run everything up to the live session, green."""
    book.run(
        "clock",
        0.12,
        outputs={"drift_s": "0.013", "server": "pool.ntp.example"},
        gates=[gate("abs(drift_s) < 2", drift_s="0.013")],
    )
    book.start("account")
    book.start("secrets")
    book.finish("secrets", seconds=0.03, outputs={"missing": []}, gates=[gate("missing == []", missing="[]")])
    book.finish(
        "account",
        seconds=0.4,
        outputs={"positions": [], "cash": "100000.00", "currency": "USD"},
        gates=[gate("positions == []", positions="[]"), gate("cash > 0", cash="100000.00")],
    )
    book.run(
        "profile_caps",
        0.05,
        outputs={"per_trade_pct": "1.5", "daily_pct": "8"},
        gates=[gate("per_trade_pct <= 2", per_trade_pct="1.5"), gate("daily_pct <= 10", daily_pct="8")],
    )
    book.confirm("branch", ["Smoke / smoke", "Promote gate", "Datasanity", "model_eval"], by=by, source=source)
    book.add("step.expanded", step="quotes", items=["SPY", "TSLA", "QQQ"])
    for index, symbol in enumerate(["SPY", "TSLA", "QQQ"]):
        values = {"age_s": f"0.{index + 2}1", "spread_bps": f"{index + 1}.4"}
        book.run(
            f"quotes[{index}]",
            0.3,
            with_={"symbol": symbol},
            outputs=dict(values),
            gates=[
                gate("age_s < 1.5", age_s=values["age_s"]),
                gate("spread_bps < 50", spread_bps=values["spread_bps"]),
            ],
        )
    book.finish("quotes", seconds=0, outputs={"items": [{}, {}, {}]})
    book.start("kill_switch", 1)
    book.add(
        "step.retrying",
        step="kill_switch",
        attempt=1,
        status="broken",
        delay_s=2.0,
        error={"type": "ConnectionError", "message": "the alert endpoint did not answer", "trace": ""},
    )
    book.start("kill_switch", 2)
    book.finish(
        "kill_switch",
        seconds=1.84,
        attempt=2,
        outputs={"halted": True, "notified": True, "ms": "41"},
        log=["session started", "kill.flag written", "halted after 41 ms", "notification sent"],
        gates=[gate("halted and notified", halted="true", notified="true")],
    )
    book.start("warmup")
    book.run(
        "warmup/shadow",
        9.2,
        outputs={"anomalies": [], "fallbacks": 0, "bars": 118},
        gates=[gate("anomalies == []", anomalies="[]"), gate("fallbacks == 0", fallbacks="0")],
        artifacts=[{"name": "artifacts/warmup.shadow/1/loop.jsonl", "bytes": 48211, "sha256": "5e" * 32}],
    )
    book.run("warmup/reconcile", 0.2, outputs={"drift": []}, gates=[gate("drift == []", drift="[]")])
    book.finish("warmup", seconds=0)
    book.confirm("t0", T0, by=by, source=source)
    book.finish("grant", seconds=0, gates=[gate("steps.kill_switch.halted", **{"steps.kill_switch.halted": "true"})])


def ending(book: Book) -> None:
    """Run what `finally` holds, green."""
    book.start("eod")
    book.run("eod/reconcile", 0.6, outputs={"drift": [], "flat": True}, gates=[gate("drift == []", drift="[]")])
    book.run(
        "eod/rollup",
        0.9,
        outputs={"slippage_p95_bps": "3.1", "turnover": "18240.55"},
        gates=[gate("slippage_p95_bps < 12", slippage_p95_bps="3.1")],
        artifacts=[{"name": "artifacts/eod.rollup/1/rollup.csv", "bytes": 1822, "sha256": "77" * 32}],
    )
    book.finish("eod/flat", seconds=0, gates=[gate("steps.reconcile.flat", **{"steps.reconcile.flat": "true"})])
    book.finish("eod", seconds=0)
    book.run("notify", 0.1, outputs={"sent": ["log"]})


LIVE_LOG = [
    "bar 1: SPY hold",
    "bar 2: TSLA buy 12 @ 251.30",
    "bar 3: note: spread of TSLA is 31 bps",
    "session ended, flat",
]


def green() -> list[dict[str, Any]]:
    """A rehearsal on the simulated venue with scripted answers, all green."""
    book = Book()
    plan(book)
    book.open()
    preamble(book)
    book.run(
        "live",
        14.2,
        with_={"symbols": ["SPY", "TSLA"], "until": "15:45"},
        outputs={"anomalies": [], "fallbacks": 0, "loop_p95_ms": "38.2", "fills": 4, "realised": "-1.12"},
        log=LIVE_LOG,
        gates=[
            gate("anomalies == []", anomalies="[]"),
            gate("fallbacks == 0", fallbacks="0"),
            gate(
                "loop_p95_ms < profile.slo.loop_p95_ms",
                severity="advisory",
                loop_p95_ms="38.2",
                **{"profile.slo.loop_p95_ms": "250"},
            ),
        ],
        artifacts=[
            {"name": "artifacts/live/1/orders.jsonl", "bytes": 2811, "sha256": "ab" * 32},
            {"name": "artifacts/live/1/loop.jsonl", "bytes": 1_482_110, "sha256": "cd" * 32},
        ],
    )
    book.finish("models_off", "skipped", 0, reason="if: params.models_off is false")
    ending(book)
    book.close()
    return book.events


def red() -> list[dict[str, Any]]:
    """A live session with an anomaly: failure path, finally, an advisory red, and steps that were left out."""
    book = Book()
    plan(book)
    book.open(
        mode="live",
        venue="live account",
        simulated=False,
        answers=None,
        profile={
            "name": "live_canary",
            "digest": "0fd2" * 16,
            "files": ["profiles/base.yaml", "profiles/live_canary.yaml"],
        },
        code={"commit": "4f0e2d91c7b35a6688a0c1d2e3f4a5b6c7d8e9f0", "dirty": True},
        requires=[
            {
                "runbook": "preflight",
                "outcome": "green",
                "within": "12h",
                "same": ["profile"],
                "verdict": "met",
                "reason": "20261123-120311-preflight-11aa",
            },
            {
                "runbook": "warmup",
                "outcome": "green",
                "within": "12h",
                "same": ["profile", "symbols"],
                "verdict": "missing",
                "reason": "the last warmup is 14 h old",
            },
        ],
    )
    preamble(book, "mira", "terminal")
    book.start("live", with_={"symbols": ["SPY", "TSLA"], "until": "15:45"})
    anomalies = [{"kind": "stale_quote", "symbol": "TSLA", "age_s": "4.8"}]
    book.finish(
        "live",
        "red",
        81.4,
        log=[*LIVE_LOG[:3], "ANOMALY stale quote TSLA: 4.8 s", "session locked out, flattening"],
        outputs={"anomalies": anomalies, "fallbacks": 1, "loop_p95_ms": "412.7", "fills": 2, "realised": "-18.40"},
        gates=[
            gate("anomalies == []", "red", anomalies=json.dumps(anomalies)),
            gate("fallbacks == 0", "red", fallbacks="1"),
            gate(
                "loop_p95_ms < profile.slo.loop_p95_ms",
                "red",
                "advisory",
                loop_p95_ms="412.7",
                **{"profile.slo.loop_p95_ms": "250"},
            )
            | {"message": "the loop is slow"},
        ],
    )
    book.add("run.stopping", reason="red")
    book.start("live/on_failure")
    book.run("live/on_failure/stop", 0.02, outputs={"flag": "kill.flag"})
    book.start("live/on_failure/flatten")
    trace = (
        "Traceback (most recent call last):\n"
        '  File "steps/desk.py", line 41, in flatten\n    report = flatten_account(broker)\n'
        '  File "aurora/execution/flatten.py", line 88, in flatten_account\n'
        '    raise VenueRefusal("TSLA: order rejected")\n'
        "aurora.errors.VenueRefusal: TSLA: order rejected (201)\n"
    )
    book.finish(
        "live/on_failure/flatten",
        "broken",
        3.3,
        error={"type": "VenueRefusal", "message": "TSLA: order rejected (201)", "trace": trace},
    )
    book.finish("live/on_failure", "broken", 0)
    book.finish("models_off", "omitted", 0, reason="it needs live, which did not pass")
    ending(book)
    book.close("broken", 1)
    return book.events


def interrupted() -> list[dict[str, Any]]:
    """A paper run that was killed in a session, resumed with a torn line recovered, and stopped at a question."""
    book = Book()
    plan(book)
    book.open(answers=None, venue="paper account", simulated=False)
    book.run(
        "clock",
        0.12,
        outputs={"drift_s": {"$float": "nan"}},
        gates=[gate("abs(drift_s) < 2", "unknown", drift_s="NaN") | {"error": "drift_s is not a number"}],
    )
    book.start("account")
    book.now += timedelta(minutes=7)
    book.add("journal.recovered", bytes=214, saved_as="journal.jsonl.torn-5")
    book.add(
        "run.resumed",
        pid=4398,
        operator={"os_user": "jon", "host": "desk-3", "terminal": True},
        changes=["profiles/sim.yaml"],
        accepted=True,
    )
    book.add(
        "step.verified",
        step="account",
        attempt=1,
        answer="not_done",
        outputs=None,
        reason="nothing was sent",
        by="verify",
    )
    book.start("account", 2)
    book.finish(
        "account",
        seconds=0.4,
        attempt=2,
        outputs={"positions": [], "cash": "100000.00"},
        gates=[gate("positions == []", positions="[]"), gate("cash > 0", cash="100000.00")],
    )
    book.start("secrets")
    book.finish("secrets", seconds=0.03, outputs={"missing": []}, gates=[gate("missing == []", missing="[]")])
    lines = ["Smoke / smoke", "Promote gate", "Datasanity", "model_eval"]
    book.add(
        "prompt.opened", step="branch", prompt="Branch protection", checklist=lines, timeout_s=600, digest="d" * 64
    )
    book.add("run.stopping", after=41, reason="SIGINT")
    book.add("run.interrupted", reason="stopped by a signal", unfinished=[])
    return book.events


def large(steps: int = 1_000) -> list[dict[str, Any]]:
    """A long run of small sub-runbooks and single steps."""
    book = Book()
    for number in range(steps):
        group = f"group_{number // 50}"
        if number % 50 == 0:
            book.entry(group, f"Group {number // 50}", "runbook", runbook="group")
        book.entry(f"{group}/step_{number}", f"Step number {number}")
    book.chain()
    book.open()
    for entry in book.entries[: int(len(book.entries) * 0.8)]:
        if entry["kind"] == "uses":
            book.run(entry["id"], 0.01, outputs={"n": 1})
    return book.events
