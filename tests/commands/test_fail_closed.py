"""Every way in which nobody says yes, or says it too late: what comes after the question is not done, on record.

Real processes. What a person does at a question in good order, and the plain cases of nobody there, are in
`tests/engine/test_prompts.py`; here an answer is missing, late, or from the wrong place.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pexpect
import pytest

from tests.engine.kit import COMMAND, ROOT, Lab, Terminal, processes_in, wait_until

SURE = """
    steps:
      - {id: sure, confirm: Positions are flat?, checklist: [Really flat, Rollback is open]}
      - {id: after, uses: lab.once}
    finally:
      - {id: bye, uses: lab.work}
"""
IN_TIME = """
    steps:
      - {id: sure, confirm: Sure?, timeout: 1s}
      - {id: after, uses: lab.once}
"""


def declined(lab: Lab, reason: str, *, by_script: bool = False) -> None:
    """Assert that the newest run ended as declined, for that reason, and that nothing came after the question."""
    ran = lab.last()
    said = [(data["accepted"], data["reason"], data["source"] == "scripted") for data in ran.of("prompt.answered")]
    assert said == [(False, reason, by_script)]
    assert ran.step("sure").status == "declined"
    assert ran.step("after").status == "omitted"
    finished = dict(ran.events[-1].data)
    assert (ran.events[-1].type, finished["outcome"], finished["exit_code"]) == ("run.finished", "declined", 5)
    assert "after once" not in lab.effects
    assert processes_in(lab.root) == {}


def interrupted(lab: Lab) -> None:
    """Assert that the newest run was stopped, waits for a resume, and that nothing came after the question."""
    ran = lab.last()
    assert ran.events[-1].type == "run.interrupted"
    assert not any(data["accepted"] for data in ran.of("prompt.answered"))
    assert "after" not in ran.statuses
    assert "after once" not in lab.effects
    assert processes_in(lab.root) == {}


def told(at: Terminal, *texts: str) -> None:
    """See these texts come, one after the other."""
    for text in texts:
        at.see(text)


# ── Nobody there ─────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("environment", [{}, {"TERM": "xterm"}, {"CI": "false", "TERM": "xterm"}], ids=str)
def test_cron(lab: Lab, environment: Mapping[str, str]) -> None:
    """Under cron (no environment to speak of, no terminal) a confirm is a no; `TERM` and `CI=false` invent nobody."""
    lab.book(SURE)
    words = [f"{name}={value}" for name, value in environment.items()]
    bare = ["env", "-i", f"PYTHONPATH={ROOT}", *words]
    done = lab.command("runbook", "book", command=[*bare, *COMMAND])
    assert done.returncode == 5, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    declined(lab, "no terminal")


@pytest.mark.parametrize("loss", ["standard input", "the terminal"])
def test_terminal_goes_away_in_the_middle(lab: Lab, loss: str) -> None:
    """A terminal that closes after the first of two ticks: the tick alone is no yes, and nothing goes on."""
    lab.book(SURE)
    # with `nohup` no signal says that the terminal has gone: the end of input must
    quiet = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh"] if loss == "standard input" else []
    at = lab.terminal("runbook", "book", command=[*quiet, *COMMAND])
    told(at, "1/2", "[y/n] ")
    at.type("y\n")
    told(at, "2/2", "[y/n] ")
    at.hang_up()
    code = at.process.wait(20)
    if loss == "the terminal":
        assert code == 7
        interrupted(lab)
    else:
        assert code == 5
        declined(lab, "end of input")


def test_half_a_line_is_no_answer(lab: Lab) -> None:
    """A `y` that nobody ended with Return, and then the end of input: a no."""
    lab.book(SURE)
    at = lab.terminal("runbook", "book")
    told(at, "1/2", "[y/n] ")
    at.type("y\x04")
    time.sleep(0.2)
    assert lab.last().of("prompt.answered") == []
    at.type("\x04")
    assert at.end()[0] == 5
    declined(lab, "end of input")


# ── Too late ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_yes_after_the_timeout_of_a_stopped_engine(lab: Lab) -> None:
    """A yes that came after the timeout is none, also when the engine (stopped meanwhile) learns of both at once."""
    lab.book(IN_TIME)
    at = lab.terminal("runbook", "book")
    told(at, "Sure?", "[y/n] ")
    wait_until(lambda: lab.last().of("prompt.opened"))
    at.process.send_signal(signal.SIGSTOP)
    time.sleep(1.3)
    at.type("y\n")
    time.sleep(0.1)
    at.process.send_signal(signal.SIGCONT)
    assert at.end()[0] == 5
    declined(lab, "timed out")


def test_late_yes_does_not_answer_the_next_question(lab: Lab) -> None:
    """A yes typed after its question had timed out is not kept for the next question, however long that one waits."""
    lab.book("""
    steps:
      - {id: sure, confirm: Sure?, timeout: 300ms, on_failure: continue}
      - {id: between, needs: [], uses: lab.wait_for, with: {name: go}}
      - {id: again, needs: [between], confirm: And now?, timeout: 700ms}
      - {id: after, needs: [again], uses: lab.once}
    """)
    at = lab.terminal("runbook", "book")
    at.see("No answer (timed out): that is a no.")
    at.type("y\ny\n")
    time.sleep(0.1)
    (lab.root / "go").touch()
    at.see("And now?")
    assert at.end()[0] == 5
    ran = lab.last()
    assert [(data["step"], data["accepted"], data["reason"]) for data in ran.of("prompt.answered")] == [
        ("sure", False, "timed out"),
        ("again", False, "timed out"),
    ]
    assert ran.statuses["after"] == "omitted"
    assert "after once" not in lab.effects


# ── Not meant for us ─────────────────────────────────────────────────────────────────────────────────────────────────
def test_background_job(lab: Lab, tmp_path: Path) -> None:
    """In the background of a shell nobody can answer: the run stands still until `fg`; a `y` is the shell's."""
    lab.book(IN_TIME)
    (tmp_path / "aurora").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m aurora "$@"\n')
    (tmp_path / "aurora").chmod(0o755)
    environment = lab.environment(TERM="dumb", PS1="$ ")
    shell = pexpect.spawn(
        "bash", ["--norc", "--noprofile", "-i"], cwd=lab.root, env=environment, timeout=20, encoding="utf-8"
    )
    try:
        shell.sendline(f"{tmp_path}/aurora runbook book &")
        wait_until(lambda: '"prompt.opened"' in lab.journal_text)
        for _ in range(2):
            shell.sendline("y")  # the shell takes it for a command of its own
            shell.expect("y: command not found")
        assert lab.last().of("prompt.answered") == []
        shell.sendline("fg; echo code-$?")
        shell.expect("code-5")
    finally:
        shell.close(force=True)
    declined(lab, "timed out")


# ── Answers from a file ──────────────────────────────────────────────────────────────────────────────────────────────
LIVE = "mode: {mode}\nvenue: ibkr\nsecrets: []\nlimit: 1\n"


@pytest.mark.parametrize("mode", ["live", "paper"])
def test_answers_on_a_real_venue_are_refused(lab: Lab, mode: str) -> None:
    """Engine rule 26: a file never stands in for a person on a real venue: exit 2 and no run, in any mode."""
    lab.profile("real", LIVE.format(mode=mode))
    lab.book("    params: {profile: {type: string, default: real}}\n" + SURE)
    lab.write("yes.yaml", "sure: yes\n")
    done = lab.command("runbook", "book", "--answers", "yes.yaml")
    assert done.returncode == 2, done.stdout
    assert "--answers works with a simulated venue only" in done.stderr
    assert not (lab.root / "runs").exists() or not list((lab.root / "runs").glob("2*"))
    assert lab.effects == []


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ("other: yes\n", "not scripted"),
        ("{}\n", "not scripted"),
        ("sure: no\n", "answered"),
        ("sure: {Really flat: yes}\n", "answered"),
        ("sure: {Really flat: yes, rollback is open: yes}\n", "answered"),
    ],
    ids=["another step", "empty", "no", "one line of two", "a line misspelt"],
)
def test_answers_file_without_the_answer(lab: Lab, answers: str, reason: str) -> None:
    """What a file of answers does not say, letter for letter, it does not say: a no."""
    lab.book(SURE)
    lab.write("answers.yaml", answers)
    done = lab.command("runbook", "book", "--answers", "answers.yaml")
    assert done.returncode == 5, done.stderr
    declined(lab, reason, by_script=True)


@pytest.mark.parametrize("answers", ["sure: y\n", "sure: true\n", "sure: 'Yes'\n", "sure: yes!\n", "", "- yes\n"])
def test_answers_file_with_a_typo(lab: Lab, answers: str) -> None:
    """A file with anything but yes and no in it is refused whole: exit 2, and nothing was run."""
    lab.book(SURE)
    lab.write("answers.yaml", answers)
    done = lab.command("runbook", "book", "--answers", "answers.yaml")
    assert (done.returncode, lab.effects) == (2, []), done.stdout
    assert "answers.yaml" in done.stderr
    assert not list(lab.root.glob("runs/2*"))
