"""Gates that wait: the step is called again until its gate holds or its time is over (engine rule 7)."""

from __future__ import annotations

import json

from aurora.engine.state import RunState
from tests.engine.kit import Lab, Recorder

QUICK = "poll: {every: 10ms, for: 20s}"


def test_a_gate_that_waits_passes_once_it_holds(lab: Lab) -> None:
    """Engine rule 7: each look is another call of the step, on record with the values it saw."""
    lab.book(f"""
    steps:
      - {{id: a, uses: lab.flaky, with: {{good: 1}}, gate: {{check: n >= 3, {QUICK}}}}}
      - {{id: b, uses: lab.work}}
    """)
    ran = lab.run()
    assert (ran.outcome, ran.statuses) == ("green", {"a": "passed", "b": "passed"})
    assert lab.effects == ["a attempt 1", "a attempt 2", "a attempt 3", "b work"]
    assert [event["gates"][0]["values"]["n"] for event in ran.of("step.polling")] == ["1", "2"]


def test_a_gate_that_never_holds_is_red_when_its_time_is_over(lab: Lab) -> None:
    """Engine rule 7: the wait is bounded; the last look is at its very end, and red is red."""
    lab.book("""
    steps:
      - {id: a, uses: lab.work, gate: {check: n == 2, poll: {every: 40ms, for: 100ms}}}
      - {id: b, uses: lab.work}
    """)
    ran = lab.run()
    assert (ran.outcome, ran.code) == ("red", 3)
    assert ran.statuses == {"a": "red", "b": "omitted"}
    assert 1 <= len(ran.of("step.polling")) <= 3
    assert sum(event["delay_s"] for event in ran.of("step.polling")) <= 0.1


def test_a_red_gate_that_may_not_wait_decides_at_once(lab: Lab) -> None:
    """A list of gates waits only while each blocking one that is red may wait."""
    lab.book(f"""
    steps:
      - {{id: a, uses: lab.work, gate: [{{check: n == 2, {QUICK}}}, n == 3]}}
    """)
    ran = lab.run()
    assert ran.statuses == {"a": "red"}
    assert lab.effects == ["a work"]


def test_an_advisory_gate_may_wait_too(lab: Lab) -> None:
    """What it waits for may come, and then nothing is amber."""
    lab.book(f"""
    steps:
      - {{id: a, uses: lab.flaky, with: {{good: 1}}, gate: {{check: n == 2, severity: advisory, {QUICK}}}}}
    """)
    assert lab.run().outcome == "green"


def test_looks_do_not_count_as_retries(lab: Lab) -> None:
    """A step that waited at its gate still has all its attempts when it then fails."""
    lab.steps(
        "turn",
        '''
        """Good, good, bad, good."""
        from dataclasses import dataclass
        from aurora.engine.context import Context
        from aurora.engine.registry import step

        @dataclass(frozen=True)
        class Out:
            n: int

        @step(repeat="safe")
        def turn(context: Context) -> Out:
            if context.attempt == 3:
                raise ConnectionError("gone")
            return Out(context.attempt)
        ''',
    )
    lab.book(f"""
    steps:
      - id: a
        uses: turn.turn
        gate: {{check: n == 4, {QUICK}}}
        retry: {{max_attempts: 2, delay: 1ms}}
    """)
    ran = lab.run()
    assert ran.outcome == "green"
    assert [len(ran.of(f"step.{what}")) for what in ("polling", "retrying")] == [2, 1]


def test_a_failure_elsewhere_ends_the_wait_as_red(lab: Lab) -> None:
    """Nothing is called again once the run has failed; the step ends with the verdict that it last had."""
    lab.book("""
    steps:
      - {id: a, needs: [], uses: lab.work, gate: {check: n == 2, poll: {every: 30s, for: 1m}}}
      - {id: b, needs: [], uses: lab.boom_after, with: {name: go}}
    """)
    ran = lab.run(listener=Recorder().touch(lab.root / "go", "step.polling", "a"))
    assert (ran.outcome, ran.statuses) == ("broken", {"a": "red", "b": "broken"})
    assert ran.end("a")["gates"][0]["values"] == {"n": "1"}
    assert "not tried again" in ran.end("a")["reason"]


def test_a_resumed_run_looks_again(lab: Lab) -> None:
    """A run that was killed while a gate waited calls the step again on resume."""
    lab.book(f"""
    steps:
      - {{id: a, uses: lab.flaky, with: {{good: 1}}, gate: {{check: n == 4, {QUICK}}}}}
    """)
    ran = lab.run()
    ran.cut_after("step.polling", "a")
    again = lab.resume()
    assert again.outcome == "green"
    assert RunState.of(again.events).steps["a"].attempt == 4


def test_items_of_foreach_wait_each_for_itself(lab: Lab) -> None:
    """The gate of a `foreach` step is each item's own, and so is its wait."""
    lab.book(f"""
    steps:
      - id: a
        uses: lab.flaky
        foreach: [1, 2]
        as: one
        concurrency: 2
        with: {{good: 1}}
        gate: {{check: n > one, {QUICK}}}
    """)
    ran = lab.run()
    assert (ran.outcome, ran.step("a[0]").attempt, ran.step("a[1]").attempt) == ("green", 2, 3)


def test_the_terminal_says_what_a_gate_waits_for(lab: Lab) -> None:
    """Plain lines name the gate, the values and the time of the next look; JSON lines carry the event."""
    lab.book("""
    steps:
      - {id: a, uses: lab.flaky, with: {good: 1}, gate: {check: n == 2, poll: {every: 10ms, for: 20s}}}
    """)
    done = lab.command("runbook", "book")
    assert "waits for n == 2 (n = 1); again in 0.01 s" in done.stdout
    events = [json.loads(line) for line in lab.command("runbook", "book", "--json").stdout.splitlines()]
    assert [event["type"] for event in events].count("step.polling") == 1


def test_the_report_says_that_a_gate_was_waited_for(lab: Lab) -> None:
    """The looks before it held are no failed attempts."""
    lab.book(f"""
    steps:
      - {{id: a, uses: lab.flaky, with: {{good: 1}}, gate: {{check: n == 3, {QUICK}}}}}
    """)
    lab.command("runbook", "book")
    assert "Its gate held at look 3" in (lab.last().folder / "report.md").read_text()
