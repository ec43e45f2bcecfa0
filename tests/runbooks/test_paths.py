"""The paths through the shipped runbooks, rehearsed: each guard fails in turn, and no session starts behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from aurora.engine.functions import FunctionTable
from aurora.engine.graph import Library, Node, Plan, build_plan
from aurora.engine.project import Project
from aurora.testing import (
    Answers,
    Mock,
    Rehearsal,
    RehearsedRun,
    Verdict,
    dies,
    no_to,
    outputs,
    passes,
    raises,
    red,
    times_out,
)
from aurora.testing.plugin import steps_given_back

ROOT = Path(__file__).resolve().parents[2]
BOOKS = sorted(path.stem for path in (ROOT / "runbooks").glob("*.yaml"))
SESSIONS = {"go-live": "live", "warmup": "shadow", "daily-shadow": "shadow"}
RED_EXIT = {"preflight": 2, "preflight-basic": 2}
REAL_ONLY = (
    "api", "venue_clock", "market_data", "terms", "orders_taken", "reconcile", "branch", "drift", "port",
    "actions_secrets", "smoke", "week", "warmed_up", "psi", "promoted", "proven_on_paper",
)  # fmt: skip
"""Steps that have their turn only where the venue is real."""
NOT_SHIPPED = "profile.alerts.required"
"""No shipped profile has it true; `test_maintenance` looks at one that does."""

CHECKS = "caps environment secrets code disk utc kill_flag lockout quotes broker".split()


def plan_of(book: str) -> Plan:
    """Return the flat plan of a shipped runbook."""
    return build_plan(Library(Project(ROOT)), book)


def callers(book: str) -> list[Node]:
    """Return the steps of a runbook that call a function."""
    return [node for node in plan_of(book).nodes.values() if node.step.kind == "uses"]


def askers(book: str) -> list[Node]:
    """Return the steps of a runbook that ask a person."""
    return [node for node in plan_of(book).nodes.values() if node.step.kind == "confirm"]


def runs_on_sim(node: Node) -> bool:
    """Return whether a step has its turn on the simulated venue when all before it passes."""
    return node.step.id not in REAL_ONLY


def is_exit(step: str) -> bool:
    """Return whether a step has its turn only after the live session of go-live was not green."""
    return step.startswith("live/on_failure/")


def before_session(book: str, node: Node) -> bool:
    """Return whether a step stands before the session of its runbook."""
    order = list(plan_of(book).nodes)
    return book in SESSIONS and order.index(node.id) < order.index(SESSIONS[book])


def gates(severity: str) -> Iterator[tuple[str, str, str]]:
    """Yield runbook, step and text of each gate of the shipped runbooks."""
    for book in BOOKS:
        for node in callers(book):
            if runs_on_sim(node):
                checks = [gate.check.text for gate in node.step.gates if gate.severity == severity]
                if severity == "blocking" or not is_exit(node.id):  # a run that needed the way out is red anyway
                    yield from ((book, node.id, check) for check in checks if NOT_SHIPPED not in check)


def failures() -> Iterator[tuple[str, str, str]]:
    """Yield runbook, step and a way to fail without outputs, for each step that calls a function."""
    with steps_given_back():
        table = FunctionTable(ROOT)
        for book in BOOKS:
            for node in filter(runs_on_sim, callers(book)):
                info = table.find(str(node.step.uses)).info
                unknown = "unknown" if info.verify is None else "unknown to verify"
                yield book, node.id, "broken"
                yield book, node.id, unknown if info.repeat == "never" else "died"
                if node.step.timeout is not None:
                    yield book, node.id, "unknown after its timeout" if info.repeat == "never" else "timed_out"


SAID: dict[str, dict[str, Any]] = {
    "missed": {"runs": []},
    "paper_share": {"enough": True, "minutes": 2},
    "paper": {"recording": "runs/paper.jsonl"},
    "canary_share": {"enough": True, "minutes": 2},
    "canary": {"recording": "runs/canary.jsonl"},
    "issue": {"note": "nothing is wrong"},
}
"""What steps of maintenance say that later ones read."""
DRAFT = {"recording": "runs/session.jsonl", "predictions": "runs/predictions.json"}
"""What the first step of renew-golden says."""

MOCKS = {
    "broken": raises(OSError("the venue is gone")),
    "died": dies(),
    "unknown": dies(),
    "unknown to verify": dies(verify=Verdict("unknown")),
    "timed_out": times_out(),
    "unknown after its timeout": times_out(),
}


def rehearse(
    rehearsal: Rehearsal,
    book: str,
    steps: Mapping[str, Mock] | None = None,
    *,
    answers: Answers = "all yes",
    profile: str = "sim",
) -> RehearsedRun:
    """Rehearse a runbook on the simulated venue; every step that is not mocked passes, the session leaves a record."""
    recorded: dict[str, Mock] = {name: passes(recording="runs/session.jsonl") for name in (SESSIONS.get(book),) if name}
    asked: dict[str, dict[str, Any]] = {"eod": {"recording": "runs/session.jsonl"}, "maintenance": {"ntfy": True}}
    params = asked.get(book, {})
    said = {name: passes(**outputs) for name, outputs in SAID.items()} if book == "maintenance" else {}
    if book == "rollback":
        said = {"plan": passes(changes=True, commit="0" * 40)}
    if book == "governance":
        said = {"look": passes(check="golden", to="blocking")}
    if book == "tune":
        said = {"propose": passes(changes=1, draft="runs/profile.yaml", before="0" * 64, after="1" * 64)}
    if book == "renew-golden":
        said = {"draft": passes(**DRAFT)}
    if any(is_exit(step) for step in steps or {}):
        recorded |= {"live": red("flat", recording="runs/session.jsonl")}
    mocks = {"*": passes(), **recorded, **said, **(steps or {})}
    return rehearsal(book, profile=profile, params=params, steps=mocks, answers=answers)


def check_no_session_and_a_closed_day(run: RehearsedRun, book: str, step: Node) -> None:
    """Assert what holds after any failure of `step`."""
    if before_session(book, step):
        assert run.status[SESSIONS[book]] == "omitted"
        assert run.calls(SESSIONS[book]) == []
    if book == "go-live" and step.scope.container != "eod":
        assert run.status["eod"] == "passed"
        assert [each for each in run.path if each != "eod/cash"][-2:] == ["eod/positions", "eod/by_hand"]


def test_a_good_day_walks_the_whole_checklist_in_order(rehearsal: Rehearsal) -> None:
    """go-live looks at everything, asks everything, trades once, and closes the day."""
    run = rehearse(rehearsal, "go-live")
    assert (run.outcome, run.exit_code) == ("green", 0)
    assert run.path == [
        "t1",
        *(f"preflight/{check}" for check in CHECKS),
        *("kill_switch", "venue_setup", "t0", "live", "record"),
        *("eod/rollup", "eod/slo", "eod/figures", "eod/positions", "eod/cash", "eod/by_hand"),
    ]
    assert [question.step for question in run.asked] == ["t1", "venue_setup", "t0", "eod/by_hand"]
    assert len(run.calls("live")) == 1


@pytest.mark.parametrize("book", BOOKS)
def test_each_shipped_runbook_is_green_when_all_passes(rehearsal: Rehearsal, book: str) -> None:
    """With every step passing and every question answered yes, each shipped runbook is green."""
    run = rehearse(rehearsal, book)
    assert (run.outcome, run.exit_code) == ("green", 0), run


@pytest.mark.parametrize(("book", "step", "check"), [*gates("blocking")])
def test_each_gate_turned_red_makes_the_run_red(rehearsal: Rehearsal, book: str, step: str, check: str) -> None:
    """A red gate is a red run: exit 2 of a preflight, 3 of all else; no session starts behind it, the day is closed."""
    profile = "paper_strict" if "profile.alerts.push" in check else "sim"  # sim pushes nothing: its gate is never red
    run = rehearse(rehearsal, book, {step: red(check, **kept(book, step))}, profile=profile)
    node = plan_of(book).nodes[step]
    assert run.gate(step, check).red
    assert [gate.check for gate in run.gates(step) if gate.red] == [check]
    assert (run.outcome, run.exit_code) == ("red", RED_EXIT.get(node.scope.runbook.name, 3))
    check_no_session_and_a_closed_day(run, book, node)


@pytest.mark.parametrize(("book", "step", "check"), [*gates("advisory")])
def test_each_advisory_gate_turned_red_goes_on_in_amber(rehearsal: Rehearsal, book: str, step: str, check: str) -> None:
    """An advisory gate is a remark: everything runs, and the run is amber."""
    run = rehearse(rehearsal, book, {step: red(check, **kept(book, step))})
    assert run.gate(step, check).red
    assert (run.outcome, run.exit_code) == ("amber", 0)
    assert run.path == rehearse(rehearsal, book).path


@pytest.mark.parametrize("book", ["preflight", "preflight-basic"])
def test_what_only_a_real_venue_asks_for_is_red_there(rehearsal: Rehearsal, book: str) -> None:
    """Each gate that is skipped on the simulated venue is looked at on a real one: red it is exit 2, or a remark."""
    found = [node for node in callers(book) if not runs_on_sim(node)]
    assert found
    for node in found:
        for gate in node.step.gates:
            run = rehearse(rehearsal, book, {node.id: red(gate.check.text)}, profile="live_canary")
            assert run.gate(node.id, gate.check.text).red
            assert (run.outcome, run.exit_code) == (("red", 2) if gate.severity == "blocking" else ("amber", 0))
        assert rehearse(rehearsal, book, {node.id: raises(OSError("gone"))}, profile="live_canary").exit_code == 1


@pytest.mark.parametrize(("book", "step", "how"), [*failures()])
def test_each_step_that_ends_badly_breaks_the_run(rehearsal: Rehearsal, book: str, step: str, how: str) -> None:
    """A step that raised, died, timed out, or did nobody knows what: exit 1, no session behind it, a closed day."""
    run = rehearse(rehearsal, book, {step: MOCKS[how]})
    node = plan_of(book).nodes[step]
    assert run.status[step] == {"died": "broken"}.get(how, how.split()[0])
    assert (run.outcome, run.exit_code) == ("broken", 1)
    check_no_session_and_a_closed_day(run, book, node)


@pytest.mark.parametrize("how", ["no", "silence", "one line", "nobody"])
@pytest.mark.parametrize(
    ("book", "step"), [(book, node.id) for book in BOOKS for node in askers(book) if runs_on_sim(node)]
)
def test_each_question_declined_ends_the_run(rehearsal: Rehearsal, book: str, step: str, how: str) -> None:
    """A no, silence, one line unticked, or nobody there: declined, exit 5, and no session starts behind it."""
    node = plan_of(book).nodes[step]
    reply: Any = no_to(len(node.step.checklist)) if how == "one line" else how
    answers: Answers = "nobody" if how == "nobody" else {"*": "yes", step: reply}
    run = rehearse(rehearsal, book, answers=answers)
    first = run.asked[0].step if how == "nobody" else step
    assert run.status[first] == "declined"
    assert (run.outcome, run.exit_code) == ("declined", 5)
    if how != "nobody":
        check_no_session_and_a_closed_day(run, book, node)
    elif book in SESSIONS:
        assert run.calls(SESSIONS[book]) == []


@pytest.mark.parametrize("how", ["red", "broken", "unknown to verify"])
def test_live_session_that_is_not_green_starts_the_emergency(rehearsal: Rehearsal, how: str) -> None:
    """Whatever became of the live session: stop, flatten, lock out, tell, issue; then the day is closed."""
    mock = {"red": red("rejected == 0", recording="a"), **MOCKS}[how]
    run = rehearse(rehearsal, "go-live", {"live": mock})
    ran = [step.rpartition("/")[2] for step in run.path if is_exit(step)]
    assert ran == ["stop", "flatten", "lockout", "tell", "issue"]  # nothing to reconcile with on a simulated venue
    assert run.path.index("live/on_failure/issue") < run.path.index("eod/positions")
    assert run.calls("live/on_failure/stop")[0].arguments["reason"] == "the live session of go-live was not green"


STEPS = {"*": passes(), "shadow": passes(recording="runs/session.jsonl")}


def test_a_shadow_day_that_changed_a_real_venue_is_red(rehearsal: Rehearsal) -> None:
    """Trading rule 16: the venue is compared by machine after a shadow day; nobody is asked, so cron can run it."""
    assert rehearse(rehearsal, "daily-shadow").status["reconcile"] == "skipped"
    run = rehearsal("daily-shadow", profile="live_canary", steps={**STEPS, "reconcile": red("clean")}, answers="nobody")
    assert (run.outcome, run.exit_code, run.status["reconcile"]) == ("red", 3, "red")


@pytest.mark.parametrize("check", ["clean", "fees_usd <= profile.risk.daily_fee_cap_usd"])
def test_a_day_that_the_venue_tells_otherwise_is_red(rehearsal: Rehearsal, check: str) -> None:
    """Drift, and fees of all the day's sessions above the cap, make the end of the day red."""
    run = rehearsal("eod", profile="live_canary", steps={"*": passes(), "reconcile": red(check)})
    assert (run.outcome, run.exit_code, run.status["reconcile"]) == ("red", 3, "red")


@pytest.mark.parametrize(("known", "outcome"), [(True, "green"), (False, "red")])
def test_unknown_drift_stops_a_live_day_only(rehearsal: Rehearsal, known: bool, outcome: str) -> None:
    """Trading rule 19: too few recorded bars are a remark before a shadow session, and red before a live one."""
    unknown = [] if known else ["return_1_bps: 12 values; it takes 500"]
    told = outputs(known=known, unknown=unknown, failed=[], warned=[])
    steps = {"*": passes(), "psi": told}
    assert rehearsal("preflight", profile="live_canary", steps=steps).outcome == outcome
    shadow = rehearsal("preflight", profile="live_canary", steps=steps, params={"before_live": False})
    assert shadow.outcome == ("green" if known else "amber")


def test_a_warmup_that_left_something_at_a_real_venue_is_red(rehearsal: Rehearsal) -> None:
    """After the shadow session the account is as preflight found it, flat; anything else is a red warmup."""
    run = rehearsal("warmup", profile="live_canary", steps={**STEPS, "reconcile": red("flat")})
    assert (run.outcome, run.exit_code, run.status["reconcile"]) == ("red", 3, "red")


@pytest.mark.parametrize("ending", ["passed", "red", "broken"])
def test_a_shadow_day_is_summed_up_when_its_session_left_a_record(rehearsal: Rehearsal, ending: str) -> None:
    """The rollup comes after a session that ended, red or not; never after one of which no record is known."""
    mock = {"passed": passes(recording="a"), "red": red("anomalies == []", recording="a"), "broken": raises(OSError())}
    run = rehearse(rehearsal, "daily-shadow", {"shadow": mock[ending]})
    assert [call.arguments["recording"] for call in run.calls("rollup")] == ([] if ending == "broken" else ["a"])


@pytest.mark.parametrize("book", SESSIONS)
def test_whatever_stands_before_a_session_can_stop_it(book: str) -> None:
    """Each step before a session is looked at by a gate that blocks, or by a person; only the commit is a remark."""
    for node in plan_of(book).nodes.values():
        if before_session(book, node) and node.step.kind != "runbook" and node.step.id != "code":
            blocks = [gate for gate in node.step.gates if gate.severity == "blocking"]
            assert blocks or node.step.kind == "confirm", node.id
            assert node.step.on_failure.action == "abort", node.id


def test_stale_quotes_stop_the_day(rehearsal: Rehearsal) -> None:
    """What the quotes step found is what the gate saw, and a stale quote is a red preflight."""
    run = rehearse(rehearsal, "go-live", {"preflight/quotes": outputs(problems=["SPY stale"])})
    assert (run.outcome, run.exit_code) == ("red", 2)
    assert run.gate("preflight/quotes").values == {"problems": "['SPY stale']"}
    assert run.status["live"] == "omitted"


@pytest.mark.parametrize("ending", ["passed", "red", "broken"])
def test_the_day_is_summed_up_only_when_a_session_left_a_record(rehearsal: Rehearsal, ending: str) -> None:
    """Eod sums up the record of a session that ended, red or not; a session that broke left none that is known."""
    mock = {
        "passed": passes(recording="runs/a.jsonl"),
        "red": red("flat", recording="runs/a.jsonl"),
        "broken": raises(OSError("gone")),
    }
    run = rehearse(rehearsal, "go-live", {"live": mock[ending]})
    recordings = [call.arguments["recording"] for call in run.calls("eod/rollup")]
    assert recordings == ([] if ending == "broken" else ["runs/a.jsonl"])
    assert run.status["eod/rollup"] == ("skipped" if ending == "broken" else "passed")


def test_a_dry_run_starts_no_session_and_asks_nobody(rehearsal: Rehearsal) -> None:
    """A dry run calls nothing that acts: the session and the kill switch are simulated from their samples."""
    run = rehearsal("go-live", profile="sim", steps={"*": passes()}, dry_run=True)
    assert (run.outcome, run.exit_code) == ("amber", 0)
    assert run.calls("live") == run.calls("kill_switch") == []
    assert run.asked == []


def kept(book: str, step: str) -> dict[str, Any]:
    """Return what a step says besides what its gates read."""
    if (book, step) == ("maintenance", "missed"):
        return {"runs": ["due at 10:30: missed"]}
    if book == "maintenance" and step in ("paper", "canary"):
        return {"recording": f"runs/{step}.jsonl"}
    if (book, step) == ("renew-golden", "draft"):
        return DRAFT
    return {"recording": "runs/session.jsonl"} if step == SESSIONS.get(book) else {}
