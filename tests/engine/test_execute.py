"""Opening, resuming and cancelling runs."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from aurora.engine.prompts import Scripted
from aurora.errors import OperatorError, ProjectError, ResumeRefused, RunNotFound, UsageError
from tests.engine.kit import BASE, INVOKE, Lab, Ran, kill, wait_until

PAUSE = """
    params: {n: {type: integer, default: 1}}
    steps:
      - {id: a, uses: lab.once, with: {n: "{{ params.n }}"}}
      - {id: b, uses: lab.wait_for, with: {name: go}}
      - {id: c, uses: lab.once}
    finally:
      - {id: bye, uses: lab.once}
"""


def killed(lab: Lab, text: str = PAUSE) -> Ran:
    """Run the book in a real process and kill it in its step `b`; from then on `b` passes."""
    lab.book(text)
    process = lab.spawn("runbook", "book")
    wait_until(lambda: "b waiting" in lab.effects)
    kill(process)
    (lab.root / "go").touch()
    return lab.last()


# ── Opening ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_run_is_opened_with_all_that_it_hangs_on(lab: Lab) -> None:
    """The first event says what, how much, where and by whom; runbooks, profiles and step modules are kept as bytes."""
    lab.book("""
    title: A test
    params: {n: {type: integer, default: 1}}
    steps:
      - {id: s, runbook: inner}
      - {id: a, title: Work, uses: lab.work, needs: [], gate: {check: n == 1, message: so}, if: 1 == 1}
      - {id: c, confirm: Sure?, checklist: [One]}
    finally:
      - {id: bye, uses: lab.work}
    """)
    lab.book("steps:\n  - {id: x, uses: lab.work}\n", "inner")
    ran = lab.run({"n": 4}, answers="c: yes\n")
    (opened,) = ran.of("run.opened")
    assert (opened["schema"], opened["run"], opened["runbook"], opened["title"]) == (
        1,
        ran.folder.name,
        "book",
        "A test",
    )
    assert (opened["params"], opened["mode"], opened["venue"], opened["simulated"]) == (
        {"n": 4},
        "paper",
        "simulated",
        True,
    )
    assert opened["profile"]["files"] == ["profiles/base.yaml"]
    names = ["answers.yaml", "profiles/base.yaml", "runbooks/book.yaml", "runbooks/inner.yaml", "steps/lab.py"]
    assert sorted(each["name"] for each in opened["inputs"]) == names
    for each in opened["inputs"]:
        kept = (ran.folder / "inputs" / each["name"]).read_bytes()
        assert kept == (lab.root / each["name"]).read_bytes()
        assert each["sha256"] == hashlib.sha256(kept).hexdigest()
    plan = {entry["id"]: entry for entry in opened["plan"]}
    assert list(plan) == ["s", "s/x", "a", "c", "bye"]
    assert (plan["s/x"]["parent"], plan["bye"]["section"], plan["c"]["needs"]) == ("s", "finally", ["a"])
    assert plan["a"]["gates"] == [{"check": "n == 1", "severity": "blocking", "message": "so"}]
    assert (plan["a"]["if"], plan["c"]["prompt"], plan["c"]["checklist"]) == ("1 == 1", "Sure?", ["One"])


def test_code_is_named_by_its_commit(lab: Lab) -> None:
    """In a git repository the commit is on record, and whether it was clean; outside of one it is null."""
    lab.book("\n    steps:\n      - {id: a, gate: 1 == 1}\n")
    assert lab.run().of("run.opened")[0]["code"] is None
    lab.write(".gitignore", "runs/\n")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], cwd=lab.root, check=True)
    clean = lab.run().of("run.opened")[0]["code"]
    assert (len(clean["commit"]), clean["dirty"]) == (40, False)
    lab.write("new", "file")
    assert lab.run().of("run.opened")[0]["code"] == {**clean, "dirty": True}


def test_two_runs_in_one_second_have_two_folders(lab: Lab) -> None:
    """The id of a run names its second and its runbook; a second run in it is numbered."""
    lab.book("\n    steps:\n      - {id: a, gate: 1 == 1}\n")
    names = [lab.run().folder.name for _ in range(4)]
    assert len(set(names)) == 4
    assert all("-book" in name for name in names)


@pytest.mark.parametrize("venue", ["account", "live"])
def test_script_answers_on_a_simulated_venue_only(lab: Lab, venue: str) -> None:
    """Engine rule 26: `--answers` on any other venue is refused with exit 2, and there is no run."""
    lab.profile("base", f"mode: paper\nvenue: {venue}\n")
    lab.book("\n    steps:\n      - {id: a, confirm: Sure?}\n")
    with pytest.raises(UsageError, match="simulated venue only") as caught:
        lab.run(answers="a: yes\n")
    assert caught.value.exit_code == 2
    assert not lab.project.runs.exists() or not list(lab.project.runs.glob("2*"))


def test_script_answers_under_ci_and_is_marked(lab: Lab) -> None:
    """Engine rule 26: on a simulated venue a script stands in for the terminal, also under CI; each answer says so."""
    lab.book("""
    steps:
      - {id: a, confirm: Sure?, checklist: [One, Two]}
      - {id: b, confirm: Really?}
    """)
    lab.write("answers.yaml", "a: {One: yes, Two: yes}\nb: yes\n")
    done = lab.command("runbook", "book", "--answers", "answers.yaml", env={"CI": "true"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SCRIPTED ANSWERS" in done.stdout
    answers = lab.last().of("prompt.answered")
    assert {(each["source"], each["by"], each["accepted"]) for each in answers} == {
        ("scripted", "script answers.yaml", True)
    }
    assert answers[0]["answers"] == [{"line": "One", "answer": "yes"}, {"line": "Two", "answer": "yes"}]


@pytest.mark.parametrize("answers", ["a: no\n", "a: {One: yes}\n", "a: {One: yes, Two: no}\n", "b: yes\n", "{}\n"])
def test_what_a_script_does_not_say_is_a_no(lab: Lab, answers: str) -> None:
    """Engine rule 26: a line that the script does not tick, or a step that it does not name, is declined: exit 5."""
    lab.book("\n    steps:\n      - {id: a, confirm: Sure?, checklist: [One, Two]}\n")
    ran = lab.run(answers=answers)
    assert (ran.outcome, ran.code, ran.statuses) == ("declined", 5, {"a": "declined"})
    assert not ran.of("prompt.answered")[0]["accepted"]


def test_requires_is_not_checked_in_a_simulation(lab: Lab) -> None:
    """Engine rule 25: on a simulated venue `requires` that nothing answers to is recorded as not checked."""
    lab.book("""
    requires:
      - {runbook: preflight, within: 12h, same: [profile]}
    steps:
      - {id: a, gate: 1 == 1}
    """)
    (required,) = lab.run().of("run.opened")[0]["requires"]
    assert (required["runbook"], required["verdict"], required["same"]) == ("preflight", "not checked", ["profile"])


def test_requires_refuses_any_other_venue(lab: Lab) -> None:
    """Engine rule 25: on another venue a run that requires evidence does not start while there can be none."""
    lab.profile("base", "mode: live\nvenue: account\n")
    lab.book("\n    requires:\n      - {runbook: preflight}\n    steps:\n      - {id: a, gate: 1 == 1}\n")
    with pytest.raises(OperatorError, match=r"requires evidence that is missing\. preflight green") as caught:
        lab.run()
    assert caught.value.exit_code == 2
    assert not list(lab.root.glob("runs/2*"))


# ── Resuming ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_resume_goes_on_where_the_run_was(lab: Lab) -> None:
    """A killed run goes on by the same code path: what is done stays done, and its parameters are those it had."""
    lab.book(PAUSE)
    process = lab.spawn("runbook", "book", "--n", "7")
    wait_until(lambda: "b waiting" in lab.effects)
    kill(process)
    (lab.root / "go").touch()
    ran = lab.resume()
    assert (ran.outcome, ran.code) == ("green", 0)
    assert lab.effects == ["a once", "b waiting", "b waiting", "c once", "bye once"]
    assert ran.end("a")["outputs"]["n"] == 7
    (resumed,) = ran.of("run.resumed")
    assert (resumed["changes"], resumed["accepted"], resumed["cancel"]) == ([], False, "")
    assert ran.of("run.finished")[0]["outcome"] == "green"


def test_resume_from_the_command_line(lab: Lab) -> None:
    """`invoke resume last` goes on, prints what happens, and has the run's exit code."""
    killed(lab)
    lab.write("tasks.py", "from aurora.commands.invoke_bridge import collection\nnamespace = collection()\n")
    done = subprocess.run(
        [*INVOKE, "resume", "last"], cwd=lab.root, env=lab.environment(), capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    assert "resumed by" in done.stdout
    assert "GREEN  exit 0" in done.stdout


def test_finished_run_is_not_resumed(lab: Lab) -> None:
    """A finished run stays as it is: resume and cancel are refused with exit 2, and not a byte of it changes."""
    lab.book("\n    steps:\n      - {id: a, gate: 1 == 2}\n")
    ran = lab.run()
    before = (ran.folder / "journal.jsonl").read_bytes()
    for cancel in ("", "no more"):
        with pytest.raises(ResumeRefused, match="is finished: red") as caught:
            lab.resume(cancel=cancel)
        assert caught.value.exit_code == 2
    assert (ran.folder / "journal.jsonl").read_bytes() == before


def test_run_that_is_not_there(lab: Lab) -> None:
    """A name that no run has, or more than one, is refused with what there is."""
    lab.book("\n    steps:\n      - {id: a, gate: 1 == 1}\n")
    with pytest.raises(RunNotFound, match="no run 'last'"):
        lab.resume()
    lab.run()
    with pytest.raises(RunNotFound, match="no run 'nope'"):
        lab.resume("nope")


def change_runbook(lab: Lab) -> None:
    """Change the runbook."""
    path = lab.root / "runbooks/book.yaml"
    path.write_text(path.read_text().replace("{id: c, uses: lab.once}", "{id: c, uses: lab.work}"))


def change_profile(lab: Lab) -> None:
    """Change a value of the profile."""
    lab.profile("base", BASE.replace("400", "500"))


def change_steps(lab: Lab) -> None:
    """Change the code of a step."""
    path = lab.root / "steps/lab.py"
    path.write_text(path.read_text() + "\n# another line\n")


CHANGES = [
    (change_runbook, "runbooks/book.yaml was changed"),
    (change_profile, "the profile base resolves to other values"),
    (change_steps, "steps/lab.py was changed"),
]


@pytest.mark.parametrize(("change", "says"), CHANGES)
def test_changed_run_is_not_resumed_unless_told(lab: Lab, change: Callable[[Lab], None], says: str) -> None:
    """A changed runbook, profile or step module refuses a resume and says which; accepting it is on record."""
    killed(lab, PAUSE.replace("params: {", "params: {profile: {type: string, default: base}, "))
    before = lab.journal_text
    change(lab)
    done = lab.command("resume", "last")
    assert (done.returncode, lab.journal_text) == (2, before)
    assert says in done.stderr
    assert "--accept-changes" in done.stderr
    ran = lab.resume(accept_changes=True)
    assert ran.outcome == "green"
    (resumed,) = ran.of("run.resumed")
    assert (says in resumed["changes"], resumed["accepted"]) == (True, True)


def test_accepted_changes_do_not_move_a_run(lab: Lab) -> None:
    """Accepted changes can't take a run from the simulated venue to another: scripted answers would go along."""
    killed(lab, PAUSE.replace("params: {", "params: {profile: {type: string, default: base}, "))
    lab.profile("base", BASE.replace("venue: simulated", "venue: account"))
    with pytest.raises(ResumeRefused, match="opened as paper on simulated; its profile now says paper on account"):
        lab.resume(accept_changes=True)


def test_step_that_was_taken_out_keeps_its_say(lab: Lab) -> None:
    """A red step that an accepted change removed from the runbook still counts: the worst that was seen."""
    killed(lab, PAUSE.replace("{id: a,", "{id: x, gate: 1 == 2, on_failure: continue}\n      - {id: a,"))
    lab.book(PAUSE)
    ran = lab.resume(accept_changes=True)
    assert (ran.outcome, ran.code) == ("red", 3)


def test_scripted_run_goes_on_scripted(lab: Lab) -> None:
    """Engine rule 26: a resumed rehearsal is answered by the script that it was opened with, from its own folder."""
    lab.book("""
    steps:
      - {id: b, uses: lab.wait_for, with: {name: go}}
      - {id: sure, confirm: Sure?}
    """)
    answers = lab.write("answers.yaml", "sure: yes\n")
    process = lab.spawn("runbook", "book", "--answers", "answers.yaml")
    wait_until(lambda: "b waiting" in lab.effects)
    kill(process)
    (lab.root / "go").touch()
    answers.write_text("sure: no\n")
    ran = lab.resume()
    assert (ran.outcome, ran.of("prompt.answered")[0]["by"]) == ("green", "script answers.yaml")


def test_run_can_be_killed_and_resumed_again_and_again(lab: Lab) -> None:
    """Each leg of a run is on record, and only the last one ends it."""
    lab.book(PAUSE)
    words = ["runbook", "book"]
    for leg in range(3):
        process = lab.spawn(*words)
        wait_until(partial(_has_waited, lab, leg + 1))
        kill(process)
        words = ["resume", "last"]
    (lab.root / "go").touch()
    ran = lab.resume()
    assert (ran.outcome, len(ran.of("run.resumed"))) == ("green", 3)
    assert [each["attempt"] for each in ran.of("step.started", "b")] == [1, 2, 3, 4]


def _has_waited(lab: Lab, times: int) -> bool:
    return lab.effects.count("b waiting") == times


def test_items_that_changed_break_the_step(lab: Lab) -> None:
    """A `foreach` that was expanded goes on with the items that are on record, or not at all."""
    text = """
    steps:
      - {id: q, uses: lab.wait_for, foreach: [1, 2], with: {name: go}}
    """
    lab.book(text)
    process = lab.spawn("runbook", "book")
    wait_until(lambda: "q[0] waiting" in lab.effects)
    kill(process)
    (lab.root / "go").touch()
    lab.book(text.replace("[1, 2]", "[2, 1, 3]"))
    ran = lab.resume(accept_changes=True)
    assert (ran.outcome, ran.statuses["q"]) == ("broken", "broken")
    assert "not those that the step began with" in ran.end("q")["error"]["message"]


# ── Cancelling ───────────────────────────────────────────────────────────────────────────────────────────────────────
def test_cancel_runs_finally_and_nothing_else(lab: Lab) -> None:
    """Engine rule 9: `cancel` runs `finally` and nothing else; the run ends as cancelled, its command with exit 0."""
    killed(lab)
    done = lab.command("cancel", "last", "--reason", "wrong day")
    ran = lab.last()
    assert lab.effects == ["a once", "b waiting", "bye once"]
    assert ran.statuses == {"a": "passed", "b": "cancelled", "c": "cancelled", "bye": "passed"}
    assert ran.of("run.resumed")[0]["cancel"] == "cancelled: wrong day"
    assert {ran.end(step)["reason"] for step in "bc"} == {"cancelled: wrong day"}
    assert (done.returncode, ran.state.outcome, ran.state.exit_code) == (0, "cancelled", 5)


def test_cancel_of_a_run_with_nothing_under_way(lab: Lab) -> None:
    """A question that stood open when the engine was killed is not asked again by a cancel."""
    lab.book(PAUSE.replace("{id: b, uses: lab.wait_for, with: {name: go}}", "{id: b, confirm: Go on?}"))
    lab.run().cut_after("prompt.opened", "b")
    (lab.root / "effects.txt").unlink()
    done = lab.command("cancel", "last", "--reason", "wrong day")
    ran = lab.last()
    assert (done.returncode, ran.state.outcome, ran.state.exit_code) == (0, "cancelled", 5)
    assert ran.statuses == {"a": "passed", "b": "cancelled", "c": "cancelled", "bye": "passed"}
    assert lab.effects == ["bye once"]


def test_cancel_of_a_run_that_only_had_to_end(lab: Lab) -> None:
    """A run that is cancelled when only `finally` was left is cancelled all the same, never green."""
    lab.book("\n    steps:\n      - {id: a, uses: lab.once}\n    finally:\n      - {id: bye, uses: lab.once}\n")
    lab.run().cut_after("step.finished", "a")
    ran = lab.resume(cancel="no")
    assert (ran.outcome, ran.code, ran.statuses) == ("cancelled", 5, {"a": "passed", "bye": "passed"})


def test_cancel_leaves_idle_failure_paths_alone(lab: Lab) -> None:
    """A failure path that was never due has no end on record; an item that was under way is unknown."""
    lab.book("""
    steps:
      - {id: a, uses: lab.work, on_failure: {runbook: emergency}}
      - {id: q, uses: lab.once, foreach: [1, 2], on_failure: {runbook: emergency}}
    """)
    lab.book("steps:\n  - {id: x, uses: lab.once}\n", "emergency")
    lab.run().cut_after("step.started", "q[0]")
    ran = lab.resume(cancel="no")
    assert ran.statuses == {
        "a": "passed",
        "q": "cancelled",
        "q[0]": "unknown",
        **dict.fromkeys((step for step in ran.statuses if "on_failure" in step), "pending"),
    }
    assert not any("on_failure" in line for line in ran.order("step.finished"))
    assert (ran.outcome, ran.code) == ("broken", 1)


def test_cancel_runs_the_finally_of_what_is_inside(lab: Lab) -> None:
    """Cancelling inside a sub-runbook runs its `finally` first, then the one around it."""
    lab.book("""
    steps:
      - {id: s, runbook: inner}
      - {id: c, uses: lab.once}
    finally:
      - {id: bye, uses: lab.once}
    """)
    lab.book(
        "steps:\n  - {id: x, uses: lab.work}\n  - {id: y, gate: 1 == 1}\nfinally:\n  - {id: z, uses: lab.once}\n",
        "inner",
    )
    lab.run().cut_after("step.finished", "s/x")
    (lab.root / "effects.txt").unlink()
    ran = lab.resume(cancel="no")
    assert lab.effects == ["s/z once", "bye once"]
    assert (ran.outcome, ran.statuses["s"], ran.statuses["s/y"]) == ("cancelled", "cancelled", "cancelled")


# ── The environment ──────────────────────────────────────────────────────────────────────────────────────────────────
def test_steps_see_the_values_of_the_env_file(lab: Lab) -> None:
    """Engine rule 24: the values of a 0600 `.env` reach the steps of a run and of its resume alike."""
    lab.steps(
        "env",
        "import os\nfrom aurora.engine.registry import step\n@step(repeat='safe')\ndef look() -> None:\n"
        "    assert len(os.environ['LAB_TOKEN']) == 13\n",
    )
    lab.book("\n    steps:\n      - {id: a, uses: env.look}\n      - {id: b, uses: env.look}\n")
    lab.write(".env", "LAB_TOKEN=thirteenchars\n").chmod(0o600)
    assert lab.command("runbook", "book").returncode == 0
    lab.last().cut_after("step.finished", "a")
    assert lab.command("resume", "last").returncode == 0


def test_env_file_that_others_can_read_is_refused(lab: Lab) -> None:
    """Engine rule 24: a `.env` that is not 0600 refuses the run, and says how to mend it."""
    lab.book("\n    steps:\n      - {id: a, gate: 1 == 1}\n")
    path = lab.write(".env", "LAB_TOKEN=thirteenchars\n")
    path.chmod(0o644)
    with pytest.raises(ProjectError, match="can be read by other users") as caught:
        lab.run()
    assert f"chmod 600 {path}" in caught.value.diagnostics()
    done = lab.command("runbook", "book")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)


def test_report_that_fails_does_not_change_the_run(lab: Lab) -> None:
    """A report that can't be made is said; the run's outcome and exit code are its own."""
    from aurora.engine.execute import start_run  # noqa: PLC0415 - the kit hides it elsewhere
    from aurora.engine.leg import Desk  # noqa: PLC0415 - the same
    from tests.engine.kit import Recorder  # noqa: PLC0415 - the same

    def fail(folder: Path) -> None:
        raise KeyError("a bug in the report")

    lab.book("\n    steps:\n      - {id: a, gate: 1 == 1}\n")
    recorder = Recorder()
    _, outcome, code = start_run(lab.project, "book", {}, Desk(recorder, Scripted({}, "s"), on_end=fail))
    assert (outcome, code) == ("green", 0)
    ((_, said),) = recorder.logs
    assert "the journal is whole" in said


def test_json_lines_are_the_journal(lab: Lab) -> None:
    """`--json` prints each event as it is on disk, one a line, and nothing else."""
    lab.book("\n    steps:\n      - {id: a, uses: lab.work}\n      - {id: b, confirm: Sure?}\n")
    done = lab.command("runbook", "book", "--json")
    assert done.returncode == 5
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    on_disk = [json.loads(line) for line in lab.journal_text.splitlines()]
    assert printed == [{key: event[key] for key in ("seq", "ts", "type", "data")} for event in on_disk]


def test_a_resume_says_what_was_before_in_a_few_lines(lab: Lab) -> None:
    """The head of the run, what has failed, and a count: not every line once more. JSON lines hold only what is new."""
    lab.book("""
    steps:
      - {id: good, uses: lab.work}
      - {id: bad, uses: lab.boom, on_failure: continue}
      - {id: last, uses: lab.work}
    """)
    lab.run().cut_after("step.started", "last")
    shown = lab.command("resume", "last").stdout
    assert "so far: 1 steps passed, 1 ended otherwise" in shown
    assert "✘ bad" in shown
    assert "✔ good" not in shown
    assert "✔ last" in shown
    lab.last().cut_after("step.started", "last")
    lines = [json.loads(line) for line in lab.command("resume", "last", "--json").stdout.splitlines()]
    assert [line["type"] for line in lines[:2]] == ["run.resumed", "step.started"]
