"""`foreach` with several items at a time: `concurrency`."""

from __future__ import annotations

from tests.engine.kit import Lab, Recorder


def test_items_run_as_many_at_a_time_as_the_step_says(lab: Lab) -> None:
    """`concurrency: 3` of five items: three begin together, the next as each ends; outputs stay in the list's order."""
    lab.steps(
        "crowd",
        '''
        """Steps that count how many of them run at a time."""
        import time
        from dataclasses import dataclass
        from aurora.engine.context import Context
        from aurora.engine.registry import step

        @dataclass(frozen=True)
        class Out:
            n: int
            together: int

        @step(repeat="safe")
        def join(context: Context, n: int, wanted: int) -> Out:
            """Stay until `wanted` others have come, and say how many were there at once."""
            here = context.project / "here"
            here.mkdir(exist_ok=True)
            mine = here / str(n)
            mine.touch()
            end, most = time.monotonic() + 20, 0
            while most < wanted and time.monotonic() < end:
                most = max(most, len(list(here.iterdir())))
                time.sleep(0.005)
            time.sleep(0.05)
            most = max(most, len(list(here.iterdir())))
            mine.unlink()
            return Out(n, most)
        ''',
    )
    lab.book("""
    steps:
      - {id: a, uses: crowd.join, foreach: [4, 3, 2, 1], as: n, concurrency: 2, with: {n: "{{ n }}", wanted: 2}}
      - {id: b, gate: "steps.a.items[0].n == 4 and steps.a.items[3].n == 1 and steps.a.items[0].together == 2"}
    """)
    ran = lab.run()
    assert ran.outcome == "green", ran.of("step.finished")
    assert [each["n"] for each in ran.end("a")["outputs"]["items"]] == [4, 3, 2, 1]
    assert max(each["together"] for each in ran.end("a")["outputs"]["items"]) == 2


def test_an_item_that_fails_lets_those_beside_it_finish(lab: Lab) -> None:
    """Items under way come to their end, no other begins, and the step is what the failed one is."""
    lab.steps(
        "mixed",
        '''
        """A step that fails for one item and waits for the others' sake."""
        from aurora.engine.context import Context
        from aurora.engine.registry import step
        from steps.lab import Out, act, wait_for

        @step(repeat="safe")
        def mixed(context: Context, n: int) -> Out:
            act(context, f"{context.step} began")
            if n == 0:
                raise RuntimeError("kaput")
            wait_for(context, "go")
            return Out(n)
        ''',
    )
    lab.book("""
    steps:
      - {id: a, uses: mixed.mixed, foreach: [1, 0, 2], as: n, concurrency: 2, with: {n: "{{ n }}"}}
    """)
    ran = lab.run(listener=Recorder().touch(lab.root / "go", "step.finished", "a[1]"))
    assert ran.statuses == {"a": "broken", "a[0]": "passed", "a[1]": "broken"}
    assert "a[2] began" not in lab.effects


def test_on_failure_continue_goes_on_with_the_other_items(lab: Lab) -> None:
    """The step runs every item, is broken, and the run goes on and stays broken."""
    lab.book("""
    steps:
      - id: a
        uses: lab.flaky
        foreach: [1, 2, 1]
        as: n
        concurrency: 2
        with: {good: "{{ n }}"}
        on_failure: continue
      - {id: b, uses: lab.work}
    """)
    ran = lab.run()
    assert ran.statuses == {"a": "broken", "a[0]": "passed", "a[1]": "broken", "a[2]": "passed", "b": "passed"}
    assert ran.outcome == "broken"


def test_a_resume_takes_up_every_item_that_was_under_way(lab: Lab) -> None:
    """Two items were running when the engine was killed: both run again, the one that was done does not."""
    lab.book("""
    steps:
      - {id: a, uses: lab.work, foreach: [1, 2, 3], concurrency: 3}
    """)
    ran = lab.run()
    first = ran.order("step.finished")[0].split()[1]
    ran.cut_after("step.finished", first)
    again = lab.resume()
    assert again.outcome == "green"
    assert {item: again.step(item).attempt for item in ("a[0]", "a[1]", "a[2]")} == {
        item: 1 if item == first else 2 for item in ("a[0]", "a[1]", "a[2]")
    }


def test_a_retry_beside_a_failed_item_is_given_up(lab: Lab) -> None:
    """An item that waits to be tried again is not, once another item has failed; the run does not wait either."""
    lab.book("""
    steps:
      - id: a
        uses: lab.flaky
        foreach: [9, 2]
        as: n
        concurrency: 2
        with: {good: "{{ n }}"}
        retry: {max_attempts: 2, delay: 5m, on: [ConnectionError]}
      - {id: b, needs: [], uses: lab.boom_after, with: {name: go}}
    """)
    ran = lab.run(listener=Recorder().touch(lab.root / "go", "step.retrying", "a[0]", "a[1]"))
    assert ran.statuses == {"a": "broken", "a[0]": "broken", "a[1]": "broken", "b": "broken"}
    assert "not tried again" in ran.end("a[0]")["reason"]
