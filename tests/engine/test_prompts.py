"""People: asked at a real terminal, and every way in which nobody answers is a no (engine rules 22 and 26)."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from aurora.engine.faults import RunbookError
from aurora.engine.prompts import Answer, Nobody, Prompt, Scripted, os_user, person_at, read_answers
from aurora.errors import UsageError
from tests.engine.kit import COMMAND, Lab, Recorder, kill, processes_in, wait_until
from tests.engine.test_workers import STUCK

SURE = """
    steps:
      - {id: sure, confirm: Positions are flat?, checklist: [Really flat, Rollback is open]}
      - {id: after, uses: lab.once}
    finally:
      - {id: bye, uses: lab.once}
"""


@pytest.fixture
def asked(lab: Lab) -> Lab:
    """A project that asks a person."""
    lab.book(SURE)
    return lab


def answer(lab: Lab) -> tuple[bool, str, str, str]:
    """Return what the one question of the newest run came to."""
    (data,) = lab.last().of("prompt.answered")
    return data["accepted"], data["by"], data["source"], data["reason"]


# ── At a terminal ────────────────────────────────────────────────────────────────────────────────────────────────────
def test_person_ticks_each_line(asked: Lab) -> None:
    """A confirm passes when the person at the terminal has typed yes to every line, one by one."""
    at = asked.terminal("runbook", "book")
    at.see("[sure] Positions are flat?")
    at.see("1/2  Really flat  [y/n] ")
    at.type("y\n")
    at.see("2/2  Rollback is open  [y/n] ")
    at.type("YES\n")
    code, said = at.end()
    assert code == 0, said
    assert answer(asked) == (True, os_user(), "terminal", "answered")
    (data,) = asked.last().of("prompt.answered")
    lines = [{"line": "Really flat", "answer": "yes"}, {"line": "Rollback is open", "answer": "yes"}]
    assert data["answers"] == lines
    (opened,) = asked.last().of("prompt.opened")
    assert (opened["checklist"], opened["timeout_s"], len(opened["digest"])) == (
        ["Really flat", "Rollback is open"],
        None,
        64,
    )


@pytest.mark.parametrize(
    "typed", ["n\n", "NO\n", "maybe\nperhaps\nyesss\n", "\n\n\n"], ids=["n", "NO", "thrice", "empty"]
)
def test_anything_but_yes_is_a_no(asked: Lab, typed: str) -> None:
    """A no, and three answers that are neither, decline the step: exit 5, and `finally` runs."""
    at = asked.terminal("runbook", "book")
    for number, line in enumerate(typed.splitlines(keepends=True)):
        at.see("Type y or n: " if number else "[y/n] ")
        time.sleep(0.05)
        at.type(line)
    code, said = at.end()
    assert code == 5, said
    assert answer(asked) == (False, os_user(), "terminal", "answered")
    assert asked.last().statuses == {"sure": "declined", "after": "omitted", "bye": "passed"}
    assert asked.last().end("sure")["reason"] == f"no from {os_user()}"


def test_second_line_declined(asked: Lab) -> None:
    """A yes to one line of two is a no; the record shows which line was ticked."""
    at = asked.terminal("runbook", "book")
    at.see("1/2")
    at.type("y\n")
    at.see("2/2")
    at.type("n\n")
    assert at.end()[0] == 5
    (data,) = asked.last().of("prompt.answered")
    assert [each["answer"] for each in data["answers"]] == ["yes", "no"]


def test_end_of_input_is_a_no(asked: Lab) -> None:
    """Ctrl-D at the question declines it."""
    at = asked.terminal("runbook", "book")
    at.see("[y/n] ")
    at.type("\x04")
    code, said = at.end()
    assert (code, answer(asked)) == (5, (False, os_user(), "terminal", "end of input")), said


def test_what_was_typed_ahead_is_no_answer(lab: Lab) -> None:
    """Nobody agrees to what she has not read: what was typed before a question is thrown away."""
    lab.book(
        "\n    steps:\n      - {id: b, uses: lab.wait_for, with: {name: go}}\n      - {id: sure, confirm: Sure?}\n"
    )
    at = lab.terminal("runbook", "book")
    wait_until(lambda: "b waiting" in lab.effects)
    at.type("y\ny\n")
    time.sleep(0.1)
    (lab.root / "go").touch()
    at.see("Sure?")
    at.see("[y/n] ")
    time.sleep(0.4)
    assert lab.last().of("prompt.answered") == []
    at.type("n\n")
    assert at.end()[0] == 5


def test_pasted_lines_answer_one_question(asked: Lab) -> None:
    """A paste of many yeses ticks the line that was shown, and no other."""
    at = asked.terminal("runbook", "book")
    at.see("1/2")
    at.see("[y/n] ")
    at.type("y\ny\ny\ny\n")
    at.see("2/2")
    time.sleep(0.4)
    assert asked.last().of("prompt.answered") == []
    at.type("n\n")
    assert at.end()[0] == 5


def test_timeout_is_a_no_and_a_late_answer_is_none(lab: Lab) -> None:
    """Engine rule 22: no answer within the timeout is a no; what is typed afterwards answers nothing else."""
    lab.book("""
    steps:
      - {id: sure, confirm: Sure?, timeout: 700ms, on_failure: continue}
      - {id: again, confirm: And now?}
    """)
    at = lab.terminal("runbook", "book")
    at.see("Sure? (answer within 0.7 s; no answer is a no)")
    at.type("y")
    at.see("No answer (timed out): that is a no.")
    at.type("\n")
    at.see("And now?")
    at.see("[y/n] ")
    time.sleep(0.3)
    ran = lab.last()
    assert [each["reason"] for each in ran.of("prompt.answered")] == ["timed out"]
    assert ran.statuses["sure"] == "declined"
    at.type("y\n")
    assert at.end()[0] == 5
    assert [each["accepted"] for each in ran.of("prompt.answered")] == [False, True]


def test_ctrl_c_at_a_question_stops_the_run(asked: Lab) -> None:
    """Engine rules 10 and 22: Ctrl-C at a question is no answer; the run stops, exit 7, and asks again when resumed."""
    asked.book(SURE.replace("steps:\n", "steps:\n      - {id: first, uses: lab.once}\n"))
    at = asked.terminal("runbook", "book")
    at.see("[y/n] ")
    at.type("\x03")
    code, said = at.end()
    assert code == 7, said
    assert "SIGINT: stopping" in said
    assert answer(asked) == (False, os_user(), "terminal", "stopped")
    assert asked.last().statuses == {"first": "passed", "bye": "passed"}
    at = asked.terminal("resume", "last")
    at.see("1/2")
    at.type("y\n")
    at.see("2/2")
    at.type("y\n")
    assert at.end()[0] == 0
    assert asked.effects == ["first once", "bye once", "after once", "bye once"]


def test_lost_terminal_stops_the_run(asked: Lab) -> None:
    """Engine rule 10: a terminal that goes away (a lost connection) stops the run in good order; it can be resumed."""
    asked.book(SURE.replace("steps:\n", "steps:\n      - {id: first, uses: lab.once}\n"))
    at = asked.terminal("runbook", "book")
    at.see("[y/n] ")
    at.hang_up()
    assert at.process.wait(20) == 7
    ran = asked.last()
    assert (ran.of("run.stopping"), ran.events[-1].type) == ([{"reason": "SIGHUP"}], "run.interrupted")
    assert ran.statuses == {"first": "passed", "bye": "passed"}
    assert processes_in(asked.root) == {}


def test_work_goes_on_while_a_person_thinks(lab: Lab) -> None:
    """Engine rule 22: a question holds up nothing but its own step; branches beside it begin and end meanwhile."""
    lab.book("""
    steps:
      - {id: sure, needs: [], confirm: Sure?}
      - {id: a, needs: [], uses: lab.work, with: {seconds: 0.3}}
      - {id: b, needs: [a], uses: lab.work}
    """)
    at = lab.terminal("runbook", "book")
    at.see("[y/n] ")
    wait_until(lambda: "b work" in lab.effects)
    wait_until(lambda: lab.last().statuses.get("b") == "passed")
    assert lab.last().of("prompt.answered") == []
    at.type("y\n")
    assert at.end()[0] == 0


def test_failure_elsewhere_takes_the_question_back(lab: Lab) -> None:
    """Engine rule 9: when the run fails while a question is open nobody's yes can save it: the step is cancelled."""
    lab.book("""
    steps:
      - {id: sure, needs: [], confirm: Sure?}
      - {id: also, needs: [], confirm: Also?}
      - {id: bad, needs: [], uses: lab.boom_after, with: {name: go}}
    finally:
      - {id: bye, confirm: Is all well?}
    """)
    at = lab.terminal("runbook", "book")
    at.see("Sure?")
    at.see("[y/n] ")
    (lab.root / "go").touch()
    at.see("No answer (the run had failed meanwhile): that is a no.")
    at.see("Is all well?")
    at.see("[y/n] ")
    at.type("y\n")
    assert at.end()[0] == 1
    ran = lab.last()
    assert ran.statuses == {"sure": "cancelled", "also": "omitted", "bad": "broken", "bye": "passed"}
    assert [each["reason"] for each in ran.of("prompt.answered")] == ["the run had failed meanwhile", "answered"]
    ran.end("sure")


def test_questions_come_one_at_a_time(lab: Lab) -> None:
    """Two questions of two branches are asked one after the other, each for itself."""
    lab.book(
        "\n    steps:\n      - {id: a, needs: [], confirm: First?}\n      - {id: b, needs: [], confirm: Second?}\n"
    )
    at = lab.terminal("runbook", "book")
    at.see("First?")
    at.see("[y/n] ")
    time.sleep(0.2)
    assert len(lab.last().of("prompt.opened")) == 1
    at.type("y\n")
    at.see("Second?")
    at.see("[y/n] ")
    at.type("n\n")
    assert at.end()[0] == 5
    assert lab.last().statuses == {"a": "passed", "b": "declined"}


def test_question_shows_what_it_is(lab: Lab) -> None:
    """Control characters in a question are shown, not obeyed: nobody is shown another text than the one on record."""
    lab.book('\n    steps:\n      - {id: a, confirm: "Sell?\\e[1A\\rBuy?"}\n')
    at = lab.terminal("runbook", "book")
    at.see("Sell?")
    at.see("[1A")
    at.see("[y/n] ")
    at.type("n\n")
    _, said = at.end()
    assert "\x1b[1A\rBuy?" not in said


@pytest.mark.parametrize(("typed", "outcome", "sent"), [("y\n", 0, 1), ("n\n", 0, 1), ("dunno\n" * 3, 4, 1)])
def test_person_settles_an_unknown_outcome(lab: Lab, typed: str, outcome: int, sent: int) -> None:
    """Engine rule 18: the person at the terminal says what became of a step: done, not done (it runs), or nothing."""
    lab.book("\n    steps:\n      - {id: a, uses: lab.once}\n      - {id: b, uses: lab.work}\n")
    lab.run().cut_after("step.started", "a")
    (lab.root / "effects.txt").write_text("a once\n" if typed == "y\n" else "")
    at = lab.terminal("resume", "last")
    at.see("What 'a' has done is unknown: the engine ended before the step did.")
    at.see("Does it count as done?  [y/n] ")
    for number, line in enumerate(typed.splitlines(keepends=True)):
        if number:
            at.see("Type y or n: ")
            time.sleep(0.05)
        at.type(line)
    code, said = at.end()
    assert code == outcome, said
    if code == 0:
        assert lab.effects.count("a once") == sent
        assert lab.last().of("step.verified")[0]["by"] == os_user()
    else:
        assert "--settle a=done" in said


def test_thinking_at_a_live_terminal_costs_little(lab: Lab) -> None:
    """Engine rule 22: while a person thinks the loop sleeps, and the live display stays away from the question."""
    lab.book("\n    steps:\n      - {id: sure, confirm: Sure?}\n")
    at = lab.terminal("runbook", "book")
    at.see("[y/n] ")
    fields = Path(f"/proc/{at.process.pid}/stat").read_text().rpartition(")")[2].split()
    time.sleep(1.5)
    later = Path(f"/proc/{at.process.pid}/stat").read_text().rpartition(")")[2].split()
    ticks = sum(int(later[n]) - int(fields[n]) for n in (11, 12))
    assert ticks / os.sysconf("SC_CLK_TCK") < 0.5  # a loop that looks all the time takes all of it
    at.type("y\n")
    assert at.end()[0] == 0


# ── Nobody there ─────────────────────────────────────────────────────────────────────────────────────────────────────
def test_no_terminal_is_a_no(asked: Lab) -> None:
    """Cron, a pipe or a redirected standard input: nobody is asked, and that is a no, exit 5."""
    for options in ({"stdin": subprocess.DEVNULL}, {"stdin": None, "input": "y\ny\n"}):
        done = asked.command("runbook", "book", options=options)
        assert done.returncode == 5, done.stderr
        assert answer(asked) == (False, "nobody", "none", "no terminal")
    assert asked.effects == ["bye once"] * 2


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&- 2>&-", "2>&-"])
def test_closed_descriptors_are_a_no(asked: Lab, closed: str) -> None:
    """A process without standard input or output asks nobody, and its journal does not get their numbers."""
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh"]
    done = asked.command("runbook", "book", command=[*shell, *COMMAND])
    assert done.returncode == 5
    assert answer(asked) == (False, "nobody", "none", "no terminal")
    ran = asked.last()
    assert ran.events[-1].type == "run.finished"
    assert ran.statuses["bye"] == "passed"


def test_ci_is_a_no(asked: Lab) -> None:
    """`CI=true` asks nobody, also at a terminal."""
    at = asked.terminal("runbook", "book", env={"CI": "true"})
    assert at.end()[0] == 5
    assert answer(asked) == (False, "nobody", "none", "CI")


def test_output_that_nobody_sees_is_a_no(asked: Lab) -> None:
    """A terminal to type at is not enough: who can't see the question can't agree to it."""
    at = asked.terminal("runbook", "book", command=["sh", "-c", 'exec "$@" >out.txt', "sh", *COMMAND])
    assert at.end()[0] == 5
    assert answer(asked) == (False, "nobody", "none", "no terminal")


def test_json_is_for_programs(asked: Lab) -> None:
    """`--json` asks nobody, also at a terminal."""
    at = asked.terminal("runbook", "book", "--json")
    assert at.end()[0] == 5
    assert answer(asked)[3] == "no terminal"


@pytest.mark.parametrize(("ci", "reason"), [("true", "CI"), ("1", "CI"), ("false", "no terminal"), ("", "no terminal")])
def test_who_is_there(ci: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`CI` counts unless it says no; without standard input there is no terminal."""
    monkeypatch.setattr("sys.stdin", None)
    person = person_at(print, {"CI": ci})
    assert isinstance(person, Nobody)
    assert person.reason == reason


# ── Scripts ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_script_settles_nothing() -> None:
    """Engine rule 26: a script stands in for a person's consent, never for her knowledge of what has happened."""
    person = Scripted({"a": "yes"}, "s")
    assert person.ask(Prompt("a", "Sure?")) == Answer(
        True, "script s", "scripted", "answered", (("Sure?", True),), True
    )
    settled = person.ask(Prompt("a", "What happened?", purpose="settle"))
    assert settled is not None
    assert (settled.accepted, settled.refused, settled.reason) == (False, False, "not scripted")


@pytest.mark.parametrize("text", ["a: maybe\n", "a: {One: 1}\n", "- a\n", "a: yes\na: no\n", "a: [yes]\n"])
def test_answers_file_with_faults_is_refused(tmp_path: Path, text: str) -> None:
    """An answers file says yes or no, a step once; anything else is refused with its line, and nothing is run."""
    path = tmp_path / "answers.yaml"
    path.write_text(text)
    with pytest.raises(RunbookError, match=r"answers\.yaml:[12]:"):
        read_answers(path)


def test_answers_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing answers file is the operator's mistake: exit 2."""
    with pytest.raises(UsageError, match="no answers file") as caught:
        read_answers(tmp_path / "none.yaml")
    assert caught.value.exit_code == 2


def test_user_is_who_the_system_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name beside an answer is the account's; `USER=alice` and an account without a name change nothing."""
    name = os_user()
    monkeypatch.setenv("USER", "alice")
    monkeypatch.setenv("LOGNAME", "alice")
    assert os_user() == name
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    assert os_user() == f"uid {os.getuid()}"


def test_kill_at_a_question_asks_again(asked: Lab) -> None:
    """A run that was killed while a question stood open asks it again; no half of an answer counts."""
    at = asked.terminal("runbook", "book")
    at.see("1/2")
    at.type("y\n")
    at.see("2/2")
    kill(at.process)
    recorder = Recorder()
    ran = asked.resume(listener=recorder)
    assert (ran.outcome, len(ran.of("prompt.opened"))) == ("declined", 2)


def test_step_that_hangs_ends_while_a_person_thinks(lab: Lab) -> None:
    """Engine rule 22: timeouts go on while a question is open."""
    lab.steps("stuck", STUCK)
    lab.book("""
    steps:
      - {id: sure, needs: [], confirm: Sure?}
      - {id: a, needs: [], uses: stuck.hang, with: {how: C loop}, timeout: 300ms, on_failure: continue}
    """)
    at = lab.terminal("runbook", "book")
    at.see("[y/n] ")
    wait_until(lambda: lab.last().statuses.get("a") == "timed_out")
    at.type("y\n")
    assert at.end()[0] == 1
    assert lab.last().statuses["sure"] == "passed"
