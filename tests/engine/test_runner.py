"""The runner: order, outcomes, exit codes, retries, `foreach`, failure paths, `finally`, dry runs."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest

from aurora.journal import Event
from tests.engine.kit import Lab, Ran, Recorder, wait_until


# ── Order ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_steps_run_in_file_order_each_after_the_one_above(lab: Lab) -> None:
    """Unless `needs` says otherwise a step starts when the one above has passed; a run without faults is green."""
    lab.book("""
    steps:
      - {id: b, uses: lab.work}
      - {id: a, uses: lab.work}
      - {id: c, uses: lab.work}
    """)
    ran = lab.run()
    assert ran.order("step.started", "step.finished") == [
        f"step.{what} {step}" for step in "bac" for what in ("started", "finished")
    ]
    assert (ran.outcome, ran.code) == ("green", 0)


def test_branches_run_side_by_side(lab: Lab) -> None:
    """Steps that do not need each other overlap: each passes only once it has seen the other at work."""
    lab.book("""
    steps:
      - {id: left, needs: [], uses: lab.meet, with: {other: right}}
      - {id: right, needs: [], uses: lab.meet, with: {other: left}}
      - {id: both, needs: [left, right], uses: lab.work}
    """)
    ran = lab.run()
    assert ran.outcome == "green"
    assert lab.effects[-1] == "both work"


def test_no_more_than_four_steps_run_at_once(lab: Lab) -> None:
    """Branches beyond the fourth wait for a place."""
    steps = "\n".join(f"      - {{id: s{n}, needs: [], uses: lab.wait_for, with: {{name: go}}}}" for n in range(6))
    lab.book(f"\n    steps:\n{steps}\n")
    started: list[str] = []

    def on_start(event: Event) -> None:
        started.append(event.data["step"])
        if len(started) == 4:
            (lab.root / "go").touch()

    ran = lab.run(listener=Recorder(react={"step.started": on_start}))
    assert ran.outcome == "green"
    assert started[:4] == ["s0", "s1", "s2", "s3"]
    assert ran.order("step.started", "step.finished")[4].startswith("step.finished")


def test_needs_may_name_a_step_further_down(lab: Lab) -> None:
    """The graph decides, not the place in the file."""
    lab.book("""
    steps:
      - {id: a, needs: [b], uses: lab.work}
      - {id: b, needs: [], uses: lab.work}
    """)
    assert lab.run().outcome == "green"
    assert lab.effects == ["b work", "a work"]


def test_many_steps_in_a_row(lab: Lab) -> None:
    """A long runbook is walked without recursion, and each of its steps is on record."""
    lab.book("\n    steps:\n" + "\n".join(f"      - {{id: s{n}, gate: 1 == 1}}" for n in range(1_500)))
    ran = lab.run()
    assert (ran.outcome, len(ran.of("step.finished"))) == ("green", 1_500)


# ── Values ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_lone_expression_keeps_its_type(lab: Lab) -> None:
    """Engine rule 2: a scalar that is one `{{ }}` keeps the value's type; any other template gives text."""
    lab.book("""
    params: {n: {type: integer, default: 7}}
    steps:
      - {id: a, uses: lab.work, with: {n: "{{ params.n }}", text: "n is {{ params.n }}", price: "{{ 1 / 4 }}"}}
      - {id: b, uses: lab.work, with: {n: "{{ steps.a.n + 1 }}", price: "{{ steps.a.price * 2 }}"}}
    """)
    ran = lab.run()
    assert ran.end("a")["outputs"] == {"n": 7, "price": "0.25", "text": "n is 7"}
    assert ran.end("b")["outputs"] == {"n": 8, "price": "0.50", "text": ""}


def test_gate_sees_money_as_numbers_before_and_after_a_resume(lab: Lab) -> None:
    """Engine rule 5: outputs come back from the journal with their types, so that 10.0 < 9.5 stays false."""
    lab.book("""
    steps:
      - {id: a, uses: lab.work, with: {price: "{{ 10.0 }}"}, gate: price > 9.5}
      - {id: pause, confirm: Go on?}
      - {id: b, gate: steps.a.price > 9.5 and steps.a.price == 10}
    """)
    lab.steps("stop", "")
    ran = lab.run(answers="pause: yes\n")
    assert ran.outcome == "green"
    journal = ran.folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    index = next(n for n, line in enumerate(lines) if b'"step.finished"' in line and b'"pause"' in line)
    journal.write_bytes(b"".join(lines[: index + 1]))
    again = lab.resume()
    assert again.outcome == "green"
    assert [gate["values"] for gate in again.end("b")["gates"]] == [{"steps.a.price": "10.0"}]
    assert lab.effects == ["a work"]


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ("n == 2", None),
        ("n", "yielded 1, not true or false"),
        ("text", "yielded 'x', not true or false"),
        ("1 / (n - 1) > 0", "DivisionByZero"),
        ("odd > 0", "odd holds a NaN"),
        ("not odd > 0", "odd holds a NaN"),
        ("odds | length == 2", "odds holds a NaN"),
        ("missing.part > 0", "there is no 'part'"),
        ("text < 'y'", "can't be compared"),
    ],
)
def test_gate_that_is_not_exactly_true_is_red(lab: Lab, gate: str, says: str | None) -> None:
    """Engine rule 4: false, no condition, an error, a NaN in what it names, a missing name: red, with the values."""
    lab.steps(
        "odd",
        """
from dataclasses import dataclass, field
from typing import Any
from aurora.engine.registry import step

@dataclass(frozen=True)
class Out:
    n: int = 1
    text: str = "x"
    odd: float = float("nan")
    odds: list[float] = field(default_factory=lambda: [1.0, float("nan")])
    missing: dict[str, Any] = field(default_factory=dict)

@step(repeat="safe")
def odd() -> Out:
    return Out()
""",
    )
    # A gate that lint refuses would not get here; it is put in behind its back.
    lab.book("\n    steps:\n      - {id: a, uses: odd.odd, gate: n == 1}\n")
    ran = _with_gate(lab, gate)
    assert (ran.outcome, ran.code, ran.end("a")["status"]) == ("red", 3, "red")
    (verdict,) = ran.end("a")["gates"]
    assert verdict["verdict"] == "red"
    assert says is None or says in verdict["error"]
    assert verdict["values"] or says


def _with_gate(lab: Lab, gate: str) -> Ran:
    """Run the book with another gate, as if lint had let it pass."""
    from unittest import mock  # noqa: PLC0415 - for this one place

    path = lab.root / "runbooks/book.yaml"
    path.write_text(path.read_text().replace("gate: n == 1", f'gate: "{gate}"'))
    with mock.patch("aurora.engine.opening.lint_plan", return_value=[]):
        return lab.run()


def test_red_gate_shows_each_name_with_its_value(lab: Lab) -> None:
    """Engine rule 4: a red gate is recorded with the value of every name in it, and its message."""
    lab.book("""
    params: {most: {type: integer, default: 0}}
    steps:
      - id: a
        uses: lab.work
        gate:
          - n > 0
          - {check: n <= params.most and price < profile.limit, message: too many}
    """)
    good, bad = lab.run().end("a")["gates"]
    assert good["verdict"] == "pass"
    assert (bad["verdict"], bad["message"]) == ("red", "too many")
    assert bad["values"] == {"n": "1", "params.most": "0", "price": "1.5", "profile.limit": "400"}


def test_status_of_a_step_can_be_asked(lab: Lab) -> None:
    """Engine rule 6: `status` stands beside a step's outputs, and guards outputs that may not be there."""
    lab.book("""
    steps:
      - {id: a, if: 1 == 2, uses: lab.work}
      - {id: b, uses: lab.work, gate: status == 'passed'}
      - {id: c, gate: steps.a.status == 'skipped' and (steps.b.status == 'passed' and steps.b.n == 1)}
      - {id: d, gate: steps.a.status != 'passed' or steps.a.n == 5}
    """)
    ran = lab.run()
    assert ran.statuses == {"a": "skipped", "b": "passed", "c": "passed", "d": "passed"}


# ── Outcomes and exit codes ──────────────────────────────────────────────────────────────────────────────────────────
SAD = {
    "passed": ("{id: x, uses: lab.work}", "green", 0),
    "advisory": ("{id: x, uses: lab.work, gate: {check: n == 2, severity: advisory}}", "amber", 0),
    "red": ("{id: x, uses: lab.work, gate: n == 2}", "red", 3),
    "gate": ("{id: x, gate: 1 == 2}", "red", 3),
    "broken": ("{id: x, uses: lab.boom}", "broken", 1),
    "timed out": ("{id: x, uses: lab.work, with: {seconds: 30}, timeout: 200ms}", "broken", 1),
    "declined": ("{id: x, confirm: Go on?}", "declined", 5),
    "skipped": ("{id: x, if: 1 == 2, uses: lab.boom}", "green", 0),
}


@pytest.mark.parametrize("how", list(SAD))
def test_outcome_and_exit_code(lab: Lab, how: str) -> None:
    """Engine rules 8 and 11: each way in which a step ends has its status, outcome and exit code."""
    step, outcome, code = SAD[how]
    lab.book(f"\n    steps:\n      - {step}\n      - {{id: y, uses: lab.work}}\n")
    ran = lab.run()
    status = {"advisory": "passed", "gate": "red", "timed out": "timed_out"}.get(how, how)
    assert (ran.outcome, ran.code, ran.statuses["x"]) == (outcome, code, status)
    went_on = outcome in ("green", "amber")
    assert ran.statuses["y"] == ("passed" if went_on else "omitted")
    assert ran.of("run.finished")[0]["exit_code"] == code
    if not went_on:
        assert ran.end("y")["reason"] == "it needs x, which did not pass"


@pytest.mark.parametrize(("worst", "outcome", "code"), [("broken", "broken", 1), ("red", "red", 3)])
def test_worst_decides(lab: Lab, worst: str, outcome: str, code: int) -> None:
    """Engine rule 11: the exit code is that of the worst that was seen, not of the first."""
    others = [SAD[name][0] for name in ("declined", "red", worst)]
    steps = [step.replace("{id: x,", f"{{id: s{n}, needs: [], on_failure: continue,") for n, step in enumerate(others)]
    lab.book("\n    steps:\n" + "\n".join(f"      - {step}" for step in steps))
    ran = lab.run()
    assert (ran.outcome, ran.code) == (outcome, code)


@pytest.mark.parametrize(
    ("outer", "inner", "code"), [("", "", 3), ("2", "", 2), ("", "2", 2), ("3", "2", 2), ("2", "3", 3)]
)
def test_red_exit_is_the_runbooks_own(lab: Lab, outer: str, inner: str, code: int) -> None:
    """Engine rule 11: a runbook with `red_exit: 2` exits 2 when red, also as a sub-runbook, which may say it itself."""
    lab.book((f"red_exit: {outer}\n" if outer else "") + "steps:\n  - {id: s, runbook: inner}\n")
    lab.book((f"red_exit: {inner}\n" if inner else "") + "steps:\n  - {id: x, gate: 1 == 2}\n", "inner")
    ran = lab.run()
    assert (ran.outcome, ran.code, ran.statuses) == ("red", code, {"s": "red", "s/x": "red"})


def test_worst_red_exit_counts(lab: Lab) -> None:
    """Engine rule 11: of a red preflight (2) and a red step of the runbook around it (3) the worse one counts."""
    lab.book("""
    steps:
      - {id: s, needs: [], runbook: inner, on_failure: continue}
      - {id: x, needs: [], gate: 1 == 2}
    """)
    lab.book("\n    red_exit: 2\n    steps:\n      - {id: x, gate: 1 == 2}\n", "inner")
    assert lab.run().code == 3


# ── Failure ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_running_siblings_finish_and_nothing_new_starts(lab: Lab) -> None:
    """Engine rule 9: after a red step what runs comes to its end; what has not started is omitted, and says why."""
    lab.book("""
    steps:
      - {id: slow, needs: [], uses: lab.wait_for, with: {name: go}}
      - {id: bad, needs: [], uses: lab.boom}
      - {id: after, needs: [slow], uses: lab.work}
      - {id: other, needs: [bad], uses: lab.work}
    """)
    ran = lab.run(listener=Recorder().touch(lab.root / "go", "step.finished", "bad"))
    assert ran.statuses == {"bad": "broken", "slow": "passed", "after": "omitted", "other": "omitted"}
    assert ran.outcome == "broken"
    assert sorted(lab.effects) == ["bad boom", "slow waiting"]


def test_continue_goes_on_and_the_run_stays_red(lab: Lab) -> None:
    """Engine rule 9: `on_failure: continue` lets what needs the step run; the outcome stays red."""
    lab.book("""
    steps:
      - {id: bad, uses: lab.work, gate: n == 2, on_failure: continue}
      - {id: after, uses: lab.work}
    """)
    ran = lab.run()
    assert (ran.statuses, ran.outcome) == ({"bad": "red", "after": "passed"}, "red")


def test_skipped_step_satisfies_needs(lab: Lab) -> None:
    """Engine rule 6: what needs a skipped step runs; a condition that is no condition breaks the step."""
    lab.book("""
    params: {n: {type: integer, default: 1}}
    steps:
      - {id: a, if: params.n == 2, uses: lab.boom}
      - {id: b, uses: lab.work}
    """)
    ran = lab.run()
    assert ran.statuses == {"a": "skipped", "b": "passed"}
    assert ran.end("a")["reason"] == "if: params.n == 2 is false"


def test_failure_path_runs_once_after_the_siblings(lab: Lab) -> None:
    """Engine rule 9: on red, running siblings finish; then the failure path runs, once; then `finally`."""
    lab.book("""
    steps:
      - {id: bad, needs: [], uses: lab.boom, on_failure: {runbook: emergency, with: {who: bad}}}
      - {id: slow, needs: [], uses: lab.wait_for, with: {name: go}}
      - {id: more, needs: [slow], uses: lab.work, on_failure: {runbook: emergency, with: {who: more}}}
    finally:
      - {id: bye, uses: lab.once}
    """)
    lab.book(
        """
    params: {who: {type: string}}
    steps:
      - {id: tell, uses: lab.once}
      - {id: deep, runbook: flatten, with: {who: "{{ params.who }}"}}
    """,
        "emergency",
    )
    lab.book(
        """
    params: {who: {type: string}}
    steps:
      - {id: flat, uses: lab.work, with: {text: "{{ params.who }}"}}
    """,
        "flatten",
    )
    ran = lab.run(listener=Recorder().touch(lab.root / "go", "step.finished", "bad"))
    assert ran.outcome == "broken"
    assert ran.statuses["bad/on_failure"] == "passed"
    assert ran.end("bad/on_failure/deep/flat")["outputs"]["text"] == "bad"
    assert sorted(lab.effects[:2]) == ["bad boom", "slow waiting"]
    assert lab.effects[2:] == ["bad/on_failure/tell once", "bad/on_failure/deep/flat work", "bye once"]
    order = ran.order("step.started", "step.finished")
    assert order.index("step.finished slow") < order.index("step.started bad/on_failure")
    assert "more/on_failure" not in ran.statuses


def test_failure_path_that_fails_still_leads_to_finally(lab: Lab) -> None:
    """Engine rule 9: whatever becomes of the failure path, `finally` runs after it."""
    lab.book("""
    steps:
      - {id: bad, uses: lab.boom, on_failure: {runbook: emergency}}
    finally:
      - {id: bye, uses: lab.once}
    """)
    lab.book("steps:\n  - {id: tell, uses: lab.boom}\n  - {id: flat, uses: lab.work}\n", "emergency")
    ran = lab.run()
    assert ran.statuses["bad/on_failure"] == "broken"
    assert lab.effects == ["bad boom", "bad/on_failure/tell boom", "bye once"]


def test_failure_path_of_a_finally_step(lab: Lab) -> None:
    """A `finally` step may have a failure path, too, and the steps after it still run."""
    lab.book("""
    steps:
      - {id: a, uses: lab.work}
    finally:
      - {id: f, uses: lab.boom, on_failure: {runbook: emergency}}
      - {id: g, uses: lab.once}
    """)
    lab.book("steps:\n  - {id: tell, uses: lab.once}\n", "emergency")
    ran = lab.run()
    assert ran.statuses["f/on_failure"] == "passed"
    assert sorted(lab.effects) == ["a work", "f boom", "f/on_failure/tell once", "g once"]


# ── finally ──────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("how", ["passed", "red", "broken", "timed out", "declined"])
def test_finally_runs_however_the_run_ends(lab: Lab, how: str) -> None:
    """Engine rule 9: `finally` runs once if any step started, also after red, an error and a decline."""
    lab.book(f"""
    steps:
      - {SAD[how][0]}
    finally:
      - {{id: bad, uses: lab.boom, with: {{text: so what}}}}
      - {{id: bye, uses: lab.once}}
    """)
    ran = lab.run()
    assert (ran.statuses["bad"], ran.statuses["bye"]) == ("broken", "passed")
    assert [effect for effect in lab.effects if not effect.startswith("x")] == ["bad boom", "bye once"]
    assert ran.code == 1


def test_finally_does_not_run_when_nothing_started(lab: Lab) -> None:
    """Engine rule 9: where every step was skipped there is nothing to end."""
    lab.book("""
    steps:
      - {id: a, if: 1 == 2, uses: lab.work}
    finally:
      - {id: bye, uses: lab.once}
    """)
    ran = lab.run()
    assert (ran.statuses["bye"], ran.outcome, lab.effects) == ("omitted", "green", [])
    assert ran.end("bye")["reason"] == "no step had started"


def test_finally_of_a_sub_runbook_runs_with_it(lab: Lab) -> None:
    """Engine rules 9 and 15: a sub-runbook has its own `finally`, which runs before what comes after it."""
    lab.book("""
    steps:
      - {id: s, runbook: inner}
      - {id: after, uses: lab.work}
    finally:
      - {id: bye, runbook: inner}
    """)
    lab.book("steps:\n  - {id: x, uses: lab.work}\nfinally:\n  - {id: y, uses: lab.once}\n", "inner")
    assert lab.run().outcome == "green"
    assert lab.effects == ["s/x work", "s/y once", "after work", "bye/x work", "bye/y once"]


def test_sub_runbooks_of_finally_run_whole_after_red(lab: Lab) -> None:
    """Engine rule 9: a red run does not keep the runbooks inside its `finally` from running, however deep they lie."""
    lab.book("""
    steps:
      - {id: a, gate: 1 == 2}
    finally:
      - {id: eod, runbook: outer}
    """)
    lab.book("steps:\n  - {id: s, runbook: inner}\n  - {id: t, uses: lab.once}\n", "outer")
    lab.book("steps:\n  - {id: flat, uses: lab.once}\n", "inner")
    ran = lab.run()
    assert lab.effects == ["eod/s/flat once", "eod/t once"]
    assert (ran.statuses["eod"], ran.outcome) == ("passed", "red")


def test_finally_step_is_retried_after_red(lab: Lab) -> None:
    """Engine rule 9: the failure of the run does not take their retries from the steps of `finally`."""
    lab.book("""
    steps:
      - {id: a, gate: 1 == 2}
    finally:
      - {id: flat, uses: lab.flaky, retry: {max_attempts: 3, delay: 10ms}}
    """)
    ran = lab.run()
    assert (ran.statuses["flat"], ran.outcome) == ("passed", "red")


# ── Sub-runbooks ─────────────────────────────────────────────────────────────────────────────────────────────────────
def test_sub_runbook_has_its_own_params_and_profile(lab: Lab) -> None:
    """Engine rule 15: a sub-runbook is inlined under a path id, with its own parameters and its own profile."""
    lab.profile("strict", "extends: base\nlimit: 7\n")
    lab.book("""
    params: {n: {type: integer, default: 3}}
    steps:
      - {id: one, runbook: inner, with: {n: "{{ params.n * 2 }}", profile: strict}}
      - {id: two, runbook: inner}
      - {id: sum, gate: steps.one.x.n == 6 and steps.two.x.n == 5 and steps.one.status == 'passed'}
    """)
    lab.book(
        """
    params:
      n: {type: integer, default: 5}
      names: {type: array, items: {type: string}, default: [a]}
      profile: {type: string, default: base}
    steps:
      - {id: x, uses: lab.work, with: {n: "{{ params.n }}", price: "{{ profile.limit }}"}}
    """,
        "inner",
    )
    ran = lab.run()
    assert ran.outcome == "green"
    assert ran.end("one/x")["outputs"] == {"n": 6, "price": "7", "text": ""}
    assert ran.end("two/x")["outputs"] == {"n": 5, "price": "400", "text": ""}


def test_profile_of_another_venue_is_refused_inside(lab: Lab) -> None:
    """Engine rule 15: a sub-runbook can't take the run to another venue."""
    lab.profile("real", "extends: base\nvenue: account\n")
    lab.book("""
    params: {name: {type: string, default: real}}
    steps:
      - {id: s, runbook: inner, with: {profile: "{{ params.name }}"}}
    finally:
      - {id: bye, uses: lab.once}
    """)
    lab.book("params: {profile: {type: string}}\nsteps:\n  - {id: x, uses: lab.work}\n", "inner")
    ran = lab.run()
    assert ran.outcome == "broken"
    assert "venue" in str(ran.of("step.finished"))
    assert lab.effects == ["bye once"]


def test_failure_inside_stops_the_whole_run(lab: Lab) -> None:
    """A failure in a sub-runbook dooms what is around it at once ("Decided here" 4), and is its container's status."""
    lab.book("""
    steps:
      - {id: s, needs: [], runbook: inner}
      - {id: wait, needs: [], uses: lab.wait_for, with: {name: go}}
      - {id: after, needs: [wait], uses: lab.work}
    """)
    lab.book("steps:\n  - {id: x, uses: lab.boom}\n  - {id: y, uses: lab.work}\n", "inner")
    ran = lab.run(listener=Recorder().touch(lab.root / "go", "step.finished", "s/x"))
    assert ran.statuses == {"s": "broken", "s/x": "broken", "s/y": "omitted", "wait": "passed", "after": "omitted"}


def test_continue_keeps_a_failure_inside(lab: Lab) -> None:
    """A step with `on_failure: continue` is where the doom of what it holds ends."""
    lab.book("""
    steps:
      - {id: s, runbook: inner, on_failure: continue}
      - {id: after, uses: lab.work}
    """)
    lab.book("steps:\n  - {id: x, gate: 1 == 2}\n  - {id: y, uses: lab.work}\n", "inner")
    ran = lab.run()
    assert ran.statuses == {"s": "red", "s/x": "red", "s/y": "omitted", "after": "passed"}
    assert ran.outcome == "red"


def test_sub_runbook_that_was_cut_short_has_not_passed(lab: Lab) -> None:
    """A sub-runbook whose steps were left out because of a failure elsewhere is cancelled, never passed."""
    lab.book("""
    steps:
      - {id: s, needs: [], runbook: inner, on_failure: continue}
      - {id: bad, needs: [], uses: lab.boom}
    finally:
      - {id: bye, uses: lab.once}
    """)
    lab.book(
        "steps:\n  - {id: x, uses: lab.wait_for, with: {name: go}}\n  - {id: y, uses: lab.work}\n"
        "finally:\n  - {id: z, uses: lab.once}\n",
        "inner",
    )
    ran = lab.run(listener=Recorder().touch(lab.root / "go", "step.finished", "bad"))
    assert ran.statuses["s/x"] == "passed"
    assert (ran.statuses["s/y"], ran.statuses["s/z"], ran.statuses["s"]) == ("omitted", "passed", "cancelled")
    assert ran.end("s")["reason"] == "cut short: s/y was left out"
    assert (ran.outcome, lab.effects[-2:]) == ("broken", ["s/z once", "bye once"])


def test_gate_of_a_sub_runbook_sees_its_steps(lab: Lab) -> None:
    """The gate of a `runbook` step names the outputs of the steps inside it."""
    lab.book("""
    steps:
      - {id: s, runbook: inner, gate: x.n == 2 and status == 'passed'}
    """)
    lab.book("steps:\n  - {id: x, uses: lab.work}\n", "inner")
    ran = lab.run()
    assert (ran.statuses, ran.code) == ({"s": "red", "s/x": "passed"}, 3)


# ── Retry ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_retry_waits_longer_each_time(lab: Lab) -> None:
    """A safe step is tried again after `delay`, times `backoff`, up to `max_delay`; each attempt has its token."""
    lab.book("""
    steps:
      - id: a
        uses: lab.flaky
        with: {good: 4}
        retry: {max_attempts: 5, delay: 20ms, backoff: 4, max_delay: 100ms}
        gate: n == 4
    """)
    ran = lab.run()
    assert ran.outcome == "green"
    assert [each["delay_s"] for each in ran.of("step.retrying")] == [0.02, 0.08, 0.1]
    assert [each["error"]["message"] for each in ran.of("step.retrying")] == ["attempt 1", "attempt 2", "attempt 3"]
    tokens = [each["token"] for each in ran.of("step.started")]
    assert tokens == [f"{ran.folder.name}:a:{number}" for number in (1, 2, 3, 4)]
    times = [event.ts for event in ran.events if event.type in ("step.retrying", "step.started")]
    gaps = [_seconds(times[n + 1]) - _seconds(times[n]) for n in (1, 3, 5)]
    assert all(gap >= least for gap, least in zip(gaps, (0.02, 0.08, 0.1), strict=True)), gaps


def _seconds(ts: str) -> float:
    return int(ts[14:16]) * 60 + float(ts[17:-1])


@pytest.mark.parametrize(
    ("retry", "attempts"),
    [
        ("{max_attempts: 2, delay: 5ms}", 2),
        ("{max_attempts: 3, delay: 5ms, on: [ConnectionError]}", 3),
        ("{max_attempts: 3, delay: 5ms, on: [OSError, timeout]}", 1),
    ],
)
def test_retry_ends(lab: Lab, retry: str, attempts: int) -> None:
    """A step is tried at most `max_attempts` times, and only for the errors that `on` names."""
    lab.book(f"\n    steps:\n      - {{id: a, uses: lab.flaky, with: {{good: 9}}, retry: {retry}}}\n")
    ran = lab.run()
    assert (len(ran.of("step.started")), ran.statuses["a"], ran.code) == (attempts, "broken", 1)
    assert ran.end("a")["error"]["type"] == "ConnectionError"


def test_timeout_is_retried_when_it_is_named(lab: Lab) -> None:
    """`on: [timeout]` tries a safe step again that took too long."""
    lab.book("""
    steps:
      - id: a
        uses: lab.work
        with: {seconds: 30}
        timeout: 150ms
        retry: {max_attempts: 2, delay: 5ms, on: [timeout]}
    """)
    ran = lab.run()
    assert (len(ran.of("step.started")), ran.statuses["a"]) == (2, "timed_out")


def test_step_that_must_not_repeat_is_not_retried(lab: Lab) -> None:
    """Engine rule 18: an error of a `never` step is its end, whatever `retry` says."""
    lab.steps(
        "order",
        """
from aurora.engine.registry import Verdict, step

def look(**_):
    return Verdict("not_done")

@step(verify=look)
def place() -> None:
    raise ConnectionError("half way")
""",
    )
    lab.book("\n    steps:\n      - {id: a, uses: order.place, retry: {max_attempts: 3, delay: 5ms}}\n")
    ran = lab.run()
    assert (len(ran.of("step.started")), ran.statuses["a"]) == (1, "broken")


def test_failure_elsewhere_ends_the_wait_for_a_retry(lab: Lab) -> None:
    """Engine rule 9: a step that waits for its next attempt when the run fails ends at once, with its failure."""
    lab.book("""
    steps:
      - {id: a, needs: [], uses: lab.flaky, retry: {max_attempts: 3, delay: 60s}}
      - {id: q, needs: [], uses: lab.flaky, foreach: [1, 2], retry: {max_attempts: 3, delay: 60s}}
      - {id: bad, needs: [], uses: lab.boom_after, with: {name: go}}
    finally:
      - {id: bye, uses: lab.once}
    """)
    ran = lab.run(listener=Recorder().touch(lab.root / "go", "step.retrying", "a", "q[0]"))
    assert (ran.statuses["a"], ran.statuses["q[0]"], ran.statuses["q"]) == ("broken", "broken", "broken")
    for step in ("a", "q[0]"):
        assert ran.end(step)["error"]["message"] == "attempt 1"
        assert "not tried again" in ran.end(step)["reason"]
    assert lab.effects[-1] == "bye once"


# ── foreach ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_foreach_runs_once_for_each_item(lab: Lab) -> None:
    """`foreach` runs the step for each item in turn, under its own id; other steps read `items`."""
    lab.book("""
    params: {names: {type: array, items: {type: string}, default: [x, y]}}
    steps:
      - id: q
        uses: lab.work
        foreach: "{{ params.names }}"
        as: name
        with: {text: "{{ name }}"}
        gate: text == name
      - id: after
        gate: steps.q.items | length == 2 and steps.q.items[1].text == 'y'
    """)
    ran = lab.run()
    assert ran.statuses == {"q": "passed", "q[0]": "passed", "q[1]": "passed", "after": "passed"}
    assert ran.of("step.expanded") == [{"step": "q", "items": ["x", "y"]}]
    assert [each["text"] for each in ran.end("q")["outputs"]["items"]] == ["x", "y"]


def test_foreach_over_nothing_passes(lab: Lab) -> None:
    """An empty list has no items, and that is no fault."""
    lab.book("""
    params: {names: {type: array, items: {type: string}, default: []}}
    steps:
      - {id: q, uses: lab.boom, foreach: "{{ params.names }}"}
      - {id: after, gate: steps.q.items | length == 0}
    """)
    assert lab.run().statuses == {"q": "passed", "after": "passed"}


def test_foreach_ends_at_the_first_failure(lab: Lab) -> None:
    """A failed item ends the step, unless it says `on_failure: continue`; the step has the status of that item."""
    lab.book("""
    steps:
      - {id: q, uses: lab.work, foreach: [1, 2, 3], with: {n: "{{ item }}"}, gate: n != 2}
    """)
    ran = lab.run()
    assert ran.statuses == {"q[0]": "passed", "q[1]": "red", "q": "red"}
    lab.book("""
    steps:
      - {id: q, uses: lab.work, foreach: [1, 2, 3], with: {n: "{{ item }}"}, gate: n != 2, on_failure: continue}
    """)
    ran = lab.run()
    assert ran.statuses == {"q[0]": "passed", "q[1]": "red", "q[2]": "passed", "q": "red"}
    assert ran.code == 3


def test_foreach_is_cut_short_by_a_failure_elsewhere(lab: Lab) -> None:
    """Engine rule 9: when the run fails, the item under way finishes and no other starts: the step is cancelled."""
    lab.book("""
    steps:
      - {id: q, needs: [], uses: lab.wait_for, with: {name: go}, foreach: [1, 2, 3]}
      - {id: bad, needs: [], uses: lab.boom}
    """)
    ran = lab.run(listener=Recorder().touch(lab.root / "go", "step.finished", "bad"))
    assert ran.statuses == {"q[0]": "passed", "q": "cancelled", "bad": "broken"}
    assert ran.end("q")["reason"] == "cut short after 1 of 3: the run had failed"


def test_foreach_over_many_items_of_a_dry_run(lab: Lab) -> None:
    """Items that end at once are walked without recursion."""
    lab.book(f"\n    steps:\n      - {{id: q, uses: lab.once, foreach: {list(range(600))}}}\n")
    ran = lab.run(dry_run=True)
    assert (len(ran.of("step.finished")), ran.outcome) == (601, "amber")


def test_items_are_each_tried_again(lab: Lab) -> None:
    """Each item of a `foreach` has its own attempts."""
    lab.book("""
    steps:
      - {id: q, uses: lab.flaky, foreach: [1, 2], with: {good: 2}, retry: {max_attempts: 2, delay: 5ms}}
    """)
    ran = lab.run()
    assert ran.outcome == "green"
    assert lab.effects == [f"q[{item}] attempt {n}" for item, n in itertools.product((0, 1), (1, 2))]


# ── Steps that can't begin ───────────────────────────────────────────────────────────────────────────────────────────
def test_argument_that_does_not_fit_breaks_the_step(lab: Lab) -> None:
    """A value that turns out at run time not to be what the function takes is an error of the step, not of Aurora."""
    lab.book("""
    params: {n: {type: array, default: [1.5]}}
    steps:
      - {id: a, uses: lab.work}
      - {id: b, uses: lab.work, with: {n: "{{ params.n[0] }}"}}
    """)
    ran = lab.run()
    assert ran.statuses == {"a": "passed", "b": "broken"}
    assert "'n' of lab.work" in ran.end("b")["error"]["message"]


def test_skipped_outputs_that_are_read_break_the_step(lab: Lab) -> None:
    """A template that names what is not there breaks its step; it is never taken for nothing."""
    lab.book("""
    params: {n: {type: integer, default: 0}}
    steps:
      - {id: a, uses: lab.work}
      - {id: b, uses: lab.work, with: {price: "{{ 1 / params.n }}"}}
    """)
    ran = lab.run()
    assert ran.statuses["b"] == "broken"
    assert "DivisionByZero" in ran.end("b")["error"]["message"]


# ── Dry run ──────────────────────────────────────────────────────────────────────────────────────────────────────────
SAMPLED = """
from dataclasses import dataclass
from decimal import Decimal
from aurora.engine.registry import step

@dataclass(frozen=True)
class Fill:
    price: Decimal

@step(sample=Fill(Decimal("10.5")))
def buy() -> Fill:
    raise AssertionError("a dry run buys nothing")

@step(repeat="safe", effects=["orders.reduce"])
def flatten() -> None:
    raise AssertionError("a dry run sells nothing")
"""


def test_dry_run_acts_on_nothing(lab: Lab) -> None:
    """`--dry-run` runs what is safe, simulates the rest from samples or skips it, asks nobody, and is not green."""
    lab.steps("desk", SAMPLED)
    lab.book("""
    steps:
      - {id: look, uses: lab.work, gate: n == 1}
      - {id: buy, uses: desk.buy, gate: price == 10.5}
      - {id: flat, uses: desk.flatten, gate: 1 == 1}
      - {id: sure, confirm: Sure?}
      - {id: once, uses: lab.once}
      - {id: told, uses: lab.work, dry_run: skip}
    finally:
      - {id: bye, uses: lab.once}
    """)
    ran = lab.run(dry_run=True)
    assert ran.statuses == {
        "look": "passed",
        "buy": "passed",
        "flat": "skipped",
        "sure": "skipped",
        "once": "skipped",
        "told": "skipped",
        "bye": "skipped",
    }
    assert lab.effects == ["look work"]
    assert (ran.outcome, ran.code) == ("amber", 0)
    simulated = {step for step in ran.statuses if ran.end(step)["simulated"]}
    assert simulated == {"buy", "flat", "sure", "once", "told", "bye"}
    assert [gate["verdict"] for gate in ran.end("flat")["gates"]] == ["unknown"]
    assert ran.of("prompt.opened") == []


def test_dry_run_says_unknown_where_it_can_not_know(lab: Lab) -> None:
    """A gate that names what did not run is unknown in a dry run, a template skips its step; false is still red."""
    lab.book("""
    steps:
      - {id: once, uses: lab.once}
      - {id: gate, gate: steps.once.n == 1}
      - {id: text, uses: lab.work, with: {n: "{{ steps.once.n }}"}}
    """)
    ran = lab.run(dry_run=True)
    assert [gate["verdict"] for gate in ran.end("gate")["gates"]] == ["unknown"]
    assert (ran.statuses["gate"], ran.statuses["text"], ran.outcome) == ("passed", "skipped", "amber")
    lab.book("\n    steps:\n      - {id: a, uses: lab.work, gate: n == 2}\n")
    assert lab.run(dry_run=True).outcome == "red"


def test_dry_run_of_what_is_all_safe_is_green(lab: Lab) -> None:
    """Where nothing had to be left undecided, a dry run is green."""
    lab.book("\n    steps:\n      - {id: a, uses: lab.work}\n")
    assert lab.run(dry_run=True).outcome == "green"


# ── What steps say ───────────────────────────────────────────────────────────────────────────────────────────────────
def test_progress_log_and_artifacts_come_with_the_step(lab: Lab) -> None:
    """Progress and log lines reach the listener while the step runs; its end records the last lines and artifacts."""
    lab.steps(
        "chatty",
        """
import subprocess, sys
from aurora.engine.context import Context
from aurora.engine.registry import step

@step(repeat="safe")
def talk(context: Context) -> None:
    for number in range(60):
        print("line", number)
    context.log("logged")
    print("to stderr", file=sys.stderr)
    subprocess.run(["echo", "from a child"])
    context.progress(3, 3, "all of it")
    (context.artifacts / "deep").mkdir()
    (context.artifacts / "deep" / "a.txt").write_text("hello")
    (context.artifacts / "link").symlink_to("/etc/passwd")
""",
    )
    lab.book("\n    steps:\n      - {id: a, uses: chatty.talk}\n")
    ran = lab.run()
    lines = [line for _, line in ran.listener.logs]
    assert {"line 0", "line 59", "logged", "to stderr", "from a child"} <= set(lines)
    assert ran.end("a")["log"] == lines[-40:]
    ((step, progress),) = ran.listener.progress
    assert (step, progress.done, progress.total, progress.label) == ("a", 3, 3, "all of it")
    (artifact,) = ran.end("a")["artifacts"]
    assert (artifact["name"], artifact["bytes"]) == ("artifacts/a/1/deep/a.txt", 5)
    assert artifact["sha256"].startswith("2cf24dba5fb0a30e")
    assert ran.end("a")["elapsed_s"] > 0


def test_each_thing_is_on_disk_before_it_is_done(lab: Lab) -> None:
    """The journal comes first: a step finds its own start on disk, and the end of what it needs."""
    lab.steps(
        "reader",
        """
from dataclasses import dataclass
from aurora.engine.context import Context
from aurora.engine.registry import step

@dataclass(frozen=True)
class Seen:
    lines: list[str]

@step(repeat="safe")
def read(context: Context) -> Seen:
    import json
    folder = context.project / "runs" / context.run
    events = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    return Seen([f"{e['type']} {e['data'].get('step')}" for e in events])
""",
    )
    lab.book("\n    steps:\n      - {id: a, uses: lab.work}\n      - {id: b, uses: reader.read}\n")
    ran = lab.run()
    assert ran.end("b")["outputs"]["lines"] == [
        "run.opened None",
        "step.started a",
        "step.finished a",
        "step.started b",
    ]


def test_listener_that_fails_does_not_stop_the_run(lab: Lab) -> None:
    """Whoever watches a run must not be what stops it: a listener that raises is told nothing more."""

    def fail(event: object) -> None:
        raise OSError(5, "Input/output error")

    lab.book("\n    steps:\n      - {id: a, uses: lab.work}\n      - {id: b, uses: lab.once}\n")
    recorder = Recorder(react={"step.started": fail})
    ran = lab.run(listener=recorder)
    assert (ran.outcome, lab.effects) == ("green", ["a work", "b once"])
    assert [event.type for event in recorder.events] == ["run.opened", "step.started"]


def test_live_listener_is_told_that_time_passes(lab: Lab) -> None:
    """A live listener gets its ticks while steps run, about ten a second."""
    lab.book("\n    steps:\n      - {id: a, uses: lab.work, with: {seconds: 0.6}}\n")
    ran = lab.run(listener=Recorder(live=True))
    assert 4 <= ran.listener.ticks <= 20


def test_number_parameters_reach_sub_runbooks_exactly(lab: Lab) -> None:
    """Money keeps its digits on the way through parameters, templates and sub-runbooks."""
    lab.book("""
    params: {price: {type: number}}
    steps:
      - {id: s, runbook: inner, with: {price: "{{ params.price }}", n: "{{ 4 / 2 }}"}}
    """)
    lab.book(
        "params: {price: {type: number}, n: {type: integer}}\n"
        'steps:\n  - {id: x, uses: lab.work, with: {price: "{{ params.price }}", n: "{{ params.n }}"}}\n',
        "inner",
    )
    ran = lab.run({"price": Decimal("0.1000000000000000000001")})
    assert ran.end("s/x")["outputs"] == {"n": 2, "price": "0.1000000000000000000001", "text": ""}


def test_wait_until_gives_up(lab: Lab) -> None:
    """The kit's own waiting ends."""
    with pytest.raises(TimeoutError, match="the cows"):
        wait_until(lambda: False, 0.01, "the cows come home")
