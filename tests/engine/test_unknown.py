"""Unknown outcomes: a step that was started, and nobody knows how it ended (engine rule 18)."""

from __future__ import annotations

import pytest

from aurora.engine.prompts import Nobody, os_user
from aurora.errors import UsageError
from tests.engine.kit import Lab, Ran, Recorder

ORDERS = """
import os, signal, time
from dataclasses import dataclass
from aurora.engine.context import Context
from aurora.engine.registry import Verdict, step
from steps.lab import act, acts, wait_for

@dataclass(frozen=True)
class Sent:
    n: int

def look(context: Context, n: int, how: str = "", seconds: float = 0) -> Verdict:
    says = context.project / "says"
    answer = says.read_text() if says.exists() else "honest"
    act(context, f"{context.step} verify")
    if answer == "honest":
        done = f"{context.step} sent {n}" in acts(context)
        return Verdict("done", Sent(n), "it is in the book") if done else Verdict("not_done", reason="it is nowhere")
    if answer == "boom":
        raise RuntimeError("the venue is closed")
    if answer == "hang":
        time.sleep(600)
    if answer == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if answer == "nonsense":
        return Verdict("perhaps")
    if answer == "empty":
        return Verdict("done")
    return Verdict(answer, Sent(n) if answer == "done" else None, "so it says")

def _send(context: Context, n: int, how: str, seconds: float) -> None:
    if how == "early":
        time.sleep(600)
    act(context, f"{context.step} sent {n}")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "wait":
        wait_for(context, "go")
    time.sleep(seconds)

@step(verify=look)
def send(context: Context, n: int, how: str = "", seconds: float = 0) -> Sent:
    _send(context, n, how, seconds)
    return Sent(n)

@step()
def blind(context: Context, n: int, how: str = "", seconds: float = 0) -> None:
    _send(context, n, how, seconds)
"""


@pytest.fixture
def desk(lab: Lab) -> Lab:
    """A project with a step that can be verified, and one that can't."""
    lab.steps("orders", ORDERS)
    return lab


def sent(lab: Lab, step: str = "a") -> int:
    """Return how often the step did what it must do once."""
    return sum(line.startswith(f"{step} sent") for line in lab.effects)


def book(lab: Lab, step: str) -> None:
    """Write a runbook around one step."""
    lab.book(f"""
    steps:
      - {step}
      - {{id: b, uses: lab.work}}
    finally:
      - {{id: bye, uses: lab.once}}
    """)


# ── While the run goes on ────────────────────────────────────────────────────────────────────────────────────────────
def test_timeout_of_a_step_that_must_not_repeat_is_unknown(desk: Lab) -> None:
    """Engine rule 18: a `never` step without `verify` that times out is unknown, and is never retried."""
    book(desk, "{id: a, uses: orders.blind, with: {n: 1, seconds: 60}, timeout: 1200ms}")
    ran = desk.run()
    assert (ran.statuses["a"], ran.statuses["b"], ran.statuses["bye"]) == ("unknown", "omitted", "passed")
    assert ran.end("a")["reason"] == "no end after 1.2 s; nobody knows what it did"
    assert (ran.outcome, ran.code, sent(desk), len(ran.of("step.started", "a"))) == ("broken", 1, 1, 1)


def test_death_of_a_step_that_must_not_repeat_is_unknown(desk: Lab) -> None:
    """Engine rule 18: the death of its worker leaves a `never` step unknown, too."""
    book(desk, "{id: a, uses: orders.blind, with: {n: 1, how: kill}}")
    ran = desk.run()
    assert (ran.statuses["a"], sent(desk)) == ("unknown", 1)
    assert "signal 9" in ran.end("a")["reason"]


def test_verify_says_done(desk: Lab) -> None:
    """Engine rule 18: `verify` that finds the effect gives the step its outputs, and its gate is decided on them."""
    book(desk, "{id: a, uses: orders.send, with: {n: 3, seconds: 60}, timeout: 1200ms, gate: n == 3}")
    ran = desk.run()
    assert (ran.outcome, sent(desk)) == ("green", 1)
    assert ran.end("a")["outputs"] == {"n": 3}
    assert ran.end("a")["reason"] == "no end after 1.2 s; verified as done"
    (verdict,) = ran.of("step.verified")
    assert verdict == {
        "step": "a",
        "attempt": 1,
        "answer": "done",
        "outputs": {"n": 3},
        "reason": "it is in the book",
        "by": "verify",
    }


def test_verify_says_done_and_the_gate_is_red(desk: Lab) -> None:
    """A verified step passes its gate like any other, or does not."""
    book(desk, "{id: a, uses: orders.send, with: {n: 3, how: kill}, gate: n == 4}")
    assert desk.run().statuses["a"] == "red"


def test_verify_says_not_done_without_a_retry(desk: Lab) -> None:
    """Engine rule 18: what certainly was not done has timed out, or is broken; it needs `retry` to be tried again."""
    book(desk, "{id: a, uses: orders.send, with: {n: 1, how: early}, timeout: 1200ms}")
    ran = desk.run()
    assert (ran.statuses["a"], sent(desk), len(ran.of("step.started", "a"))) == ("timed_out", 0, 1)
    assert ran.end("a")["reason"] == "no end after 1.2 s; it was not done"


def test_verify_says_not_done_with_a_retry(desk: Lab) -> None:
    """Engine rule 18: only what `verify` says was not done runs again, as often as `retry` allows."""
    book(desk, "{id: a, uses: orders.send, with: {n: 1, how: early}, timeout: 1200ms, retry: {max_attempts: 3}}")
    ran = desk.run()
    assert (ran.statuses["a"], len(ran.of("step.started", "a"))) == ("timed_out", 3)
    assert [each["attempt"] for each in ran.of("step.verified")] == [1, 2, 3]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("unknown", "so it says"),
        ("boom", "RuntimeError: the venue is closed"),
        ("hang", "did not end in time"),
        ("die", "ended without an answer (signal 9)"),
        ("nonsense", "not a Verdict"),
        ("empty", "returned NoneType, declared Sent"),
    ],
)
def test_verify_that_can_not_tell_leaves_it_unknown(desk: Lab, answer: str, says: str) -> None:
    """Engine rule 18: unknown stops the run, and so does a `verify` that raises, hangs, dies or talks nonsense."""
    (desk.root / "says").write_text(answer)
    book(desk, "{id: a, uses: orders.send, with: {n: 1, how: kill}, timeout: 1500ms, retry: {max_attempts: 3}}")
    ran = desk.run()
    assert (ran.statuses["a"], ran.statuses["b"], ran.code) == ("unknown", "omitted", 1)
    assert says in ran.end("a")["reason"]
    assert (sent(desk), ran.of("step.verified")[0]["answer"]) == (1, "unknown")


# ── After the engine was killed ──────────────────────────────────────────────────────────────────────────────────────
def killed_in(lab: Lab, step: str = "a", *, effect: bool = True) -> Ran:
    """Run the book and cut its record where `step` had started; `effect` is whether the step had acted by then."""
    ran = lab.run()
    ran.cut_after("step.started", step)
    kept = [line for line in lab.effects if effect and line.startswith(f"{step.partition('[')[0]}")]
    (lab.root / "effects.txt").write_text("".join(f"{line}\n" for line in kept[:1]))
    return ran


def test_safe_step_runs_again(lab: Lab) -> None:
    """Engine rule 18: a `repeat=safe` step that was started and not finished runs again, as its second attempt."""
    lab.book("\n    steps:\n      - {id: a, uses: lab.work}\n")
    killed_in(lab)
    ran = lab.resume()
    assert (ran.outcome, [each["attempt"] for each in ran.of("step.started")]) == ("green", [1, 2])
    assert [each["token"][-4:] for each in ran.of("step.started")] == [":a:1", ":a:2"]


@pytest.mark.parametrize(("effect", "attempts"), [(True, 1), (False, 2)])
def test_verify_decides_on_resume(desk: Lab, effect: bool, attempts: int) -> None:
    """Engine rule 18: on resume `verify` decides: done is done, and not done is done now; the effect happens once."""
    book(desk, "{id: a, uses: orders.send, with: {n: 3}, gate: n == 3}")
    killed_in(desk, effect=effect)
    ran = desk.resume()
    assert (ran.outcome, sent(desk), len(ran.of("step.started", "a"))) == ("green", 1, attempts)
    assert ran.end("a")["outputs"] == {"n": 3}


def test_nobody_to_ask_waits(desk: Lab) -> None:
    """Engine rule 18: an unknown outcome that nobody can settle stops the run, exit 4, and it can be resumed."""
    book(desk, "{id: a, uses: orders.blind, with: {n: 1}}")
    killed_in(desk)
    ran = desk.resume()
    assert (ran.outcome, ran.code, ran.statuses) == ("waiting", 4, {"a": "running"})
    assert ran.of("prompt.answered")[0]["reason"] == "no terminal"
    assert any("--settle a=done" in line for _, line in ran.listener.logs)
    assert (desk.resume(person=Nobody("CI")).outcome, sent(desk)) == ("waiting", 1)
    settled = desk.resume(settle={"a": "done"})
    assert (settled.outcome, sent(desk), desk.effects[1:]) == ("green", 1, ["b work", "bye once"])
    assert settled.of("step.verified")[-1]["by"] == os_user()
    assert settled.end("a")["reason"] == f"settled as done by {os_user()}"


def test_word_of_a_person_has_no_outputs(desk: Lab) -> None:
    """A step that a person calls done, whose gates need outputs, is broken: red would promise outputs."""
    desk.book("""
    steps:
      - {id: a, uses: lab.once, with: {n: 1}, gate: n == 1, on_failure: continue}
    finally:
      - {id: c, if: "steps.a.status in ['passed', 'red']", uses: lab.work, with: {n: "{{ steps.a.n }}"}}
      - {id: d, uses: lab.work, with: {n: "{{ steps.a.n if steps.a.status in ['passed', 'red'] else 7 }}"}}
    """)
    killed_in(desk)
    ran = desk.resume(settle={"a": "done"})
    assert ran.statuses == {"a": "broken", "c": "skipped", "d": "passed"}
    assert ran.end("a")["error"]["type"] == "OutputsUnknown"
    assert (ran.end("a")["gates"][0]["verdict"], ran.end("d")["outputs"]["n"]) == ("red", 7)


def test_what_does_not_need_the_unknown_step_goes_on(desk: Lab) -> None:
    """Engine rule 18: before the run stops to ask, its other branches come to their end."""
    desk.book("""
    steps:
      - {id: a, needs: [], uses: orders.blind, with: {n: 1}}
      - {id: c, needs: [], uses: lab.work, with: {seconds: 0.3}}
      - {id: d, needs: [c], uses: lab.work}
      - {id: e, needs: [a], uses: lab.work}
    """)
    killed_in(desk)
    ran = desk.resume()
    assert (ran.outcome, ran.statuses) == ("waiting", {"a": "running", "c": "passed", "d": "passed"})
    assert desk.resume(settle={"a": "done"}).outcome == "green"


def test_settled_as_not_done_runs(desk: Lab) -> None:
    """Engine rule 18: a person may say that a step did not happen; then it happens now, once."""
    book(desk, "{id: a, uses: orders.blind, with: {n: 1}}")
    killed_in(desk, effect=False)
    ran = desk.resume(settle={"a": "not_done"})
    assert (ran.outcome, sent(desk), len(ran.of("step.started", "a"))) == ("green", 1, 2)


def test_word_of_a_person_is_asked_for_once(desk: Lab) -> None:
    """What a person has settled stands on record; a crash right after it does not ask again."""
    book(desk, "{id: a, uses: orders.blind, with: {n: 1}}")
    killed_in(desk)
    ran = desk.resume(settle={"a": "done"})
    ran.cut_after("step.verified", "a")
    again = desk.resume()
    assert (again.outcome, len(again.of("step.verified")), sent(desk)) == ("green", 1, 1)


@pytest.mark.parametrize(
    ("settle", "says"),
    [({"b": "done"}, "'b'"), ({"nope": "done"}, "'nope'"), ({"a": "done"}, "'a'"), ({"q": "done"}, "'q'")],
)
def test_settle_names_only_what_is_unknown(desk: Lab, settle: dict[str, str], says: str) -> None:
    """`--settle` of a step that is not unknown is refused, and nothing is run."""
    desk.book("""
    steps:
      - {id: a, uses: lab.work}
      - {id: q, uses: orders.blind, foreach: [1], with: {n: 1}}
      - {id: b, uses: lab.work}
    """)
    ran = desk.run()
    ran.cut_after("step.started", "q[0]")
    with pytest.raises(UsageError, match=says) as caught:
        desk.resume(settle=settle)
    assert "q[0]" in caught.value.diagnostics()
    assert ran.events[-1].type == "step.started"


def test_items_are_settled_one_by_one(desk: Lab) -> None:
    """Engine rule 18: each item of a `foreach` has its own outcome; done ones are not run again."""
    desk.book("""
    steps:
      - {id: q, uses: orders.blind, foreach: [1, 2, 3], with: {n: "{{ item }}"}}
    """)
    ran = desk.run()
    ran.cut_after("step.started", "q[1]")
    (desk.root / "effects.txt").write_text("q[0] sent 1\nq[1] sent 2\n")
    assert desk.resume().outcome == "waiting"
    ran = desk.resume(settle={"q[1]": "done"})
    assert (ran.outcome, desk.effects) == ("green", ["q[0] sent 1", "q[1] sent 2", "q[2] sent 3"])


def test_items_that_can_be_verified_go_on_alone(desk: Lab) -> None:
    """Engine rule 18: an item whose `verify` finds it done keeps its outputs among the others'."""
    desk.book("""
    steps:
      - {id: q, uses: orders.send, foreach: [1, 2], with: {n: "{{ item }}"}, gate: n == item}
    """)
    ran = desk.run()
    ran.cut_after("step.started", "q[1]")
    ran = desk.resume()
    assert ran.outcome == "green"
    assert ran.end("q")["outputs"] == {"items": [{"n": 1}, {"n": 2}]}
    assert [line for line in desk.effects if "sent" in line] == ["q[0] sent 1", "q[1] sent 2"]


def test_unknown_step_of_a_run_that_has_failed(desk: Lab) -> None:
    """Engine rules 9 and 18: after a failure a safe step is not repeated, an unknown one still has to be settled."""
    desk.book("""
    steps:
      - {id: s, needs: [], uses: lab.wait_for, with: {name: go}}
      - {id: n, needs: [], uses: orders.blind, with: {n: 1, how: wait}}
      - {id: bad, needs: [], uses: lab.boom}
    finally:
      - {id: bye, uses: lab.once}
    """)
    ran = desk.run(listener=Recorder().touch(desk.root / "go", "step.finished", "bad"))
    ran.cut_after("step.finished", "bad")
    (desk.root / "effects.txt").write_text("n sent 1\n")
    ran = desk.resume()
    assert (ran.outcome, ran.statuses["s"], ran.statuses["n"]) == ("waiting", "cancelled", "running")
    ran = desk.resume(settle={"n": "done"})
    assert (ran.outcome, ran.statuses["n"], desk.effects) == ("broken", "passed", ["n sent 1", "bye once"])


def test_unfinished_finally_step_is_repeated_after_red(lab: Lab) -> None:
    """Engine rules 9 and 18: a safe step of `finally` that a crash interrupted runs again, also when the run is red."""
    lab.book("""
    steps:
      - {id: bad, gate: 1 == 2}
    finally:
      - {id: flat, uses: lab.work}
      - {id: bye, uses: lab.once}
    """)
    lab.run().cut_after("step.started", "flat")
    ran = lab.resume()
    assert (ran.outcome, ran.statuses["flat"], ran.statuses["bye"]) == ("red", "passed", "passed")


def test_failure_path_that_a_crash_interrupted_goes_on(lab: Lab) -> None:
    """Engine rule 9: a failure path is taken up where it was, and what it had done is not done again."""
    lab.book("""
    steps:
      - {id: bad, uses: lab.boom, on_failure: {runbook: emergency}}
    finally:
      - {id: bye, uses: lab.once}
    """)
    lab.book(
        "steps:\n  - {id: x, uses: lab.once}\n  - {id: y, uses: lab.work}\n  - {id: z, uses: lab.once}\n", "emergency"
    )
    ran = lab.run()
    whole = ran.statuses
    ran.cut_after("step.started", "bad/on_failure/y")
    (lab.root / "effects.txt").unlink()
    ran = lab.resume()
    assert (ran.statuses, ran.outcome) == (whole, "broken")
    assert lab.effects == ["bad/on_failure/y work", "bad/on_failure/z once", "bye once"]


def test_retry_that_a_crash_interrupted_goes_on(lab: Lab) -> None:
    """A step between two attempts goes on with the next one; when the run had failed it ends with its failure."""
    lab.book("\n    steps:\n      - {id: a, uses: lab.flaky, retry: {max_attempts: 3, delay: 1ms}}\n")
    ran = lab.run()
    ran.cut_after("step.retrying", "a")
    ran = lab.resume()
    assert (ran.outcome, [each["attempt"] for each in ran.of("step.started")]) == ("green", [1, 2, 3])
    lab.book("""
    steps:
      - {id: a, needs: [], uses: lab.flaky, retry: {max_attempts: 3, delay: 30s}}
      - {id: q, needs: [], uses: lab.flaky, foreach: [1, 2], retry: {max_attempts: 3, delay: 30s}}
      - {id: bad, needs: [], uses: lab.boom_after, with: {name: go}}
    """)
    ran = lab.run(listener=Recorder().touch(lab.root / "go", "step.retrying", "a", "q[0]"))
    ran.cut_after("step.finished", "bad")
    ran = lab.resume()
    assert ran.statuses == {"a": "broken", "q": "broken", "q[0]": "broken", "bad": "broken"}
    assert ran.end("q[0]")["error"]["message"] == ran.end("a")["error"]["message"] == "attempt 1"
