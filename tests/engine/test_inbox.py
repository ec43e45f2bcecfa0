"""Acts from other processes: cancel and answer a run that goes on elsewhere (engine rule 21)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from aurora.engine.inbox import Inbox, send
from tests.engine.kit import Lab, wait_until

WAITS = """
    steps:
      - {id: a, uses: lab.work}
      - {id: b, uses: lab.wait_for, with: {name: never}}
      - {id: c, uses: lab.work}
    finally:
      - {id: end, uses: lab.work}
"""


def test_cancel_reaches_a_run_that_goes_on_in_another_process(lab: Lab) -> None:
    """Engine rule 21: the run stops its steps, runs its `finally`, and ends as cancelled; who asked is on record."""
    lab.book(WAITS)
    engine = lab.spawn("runbook", "book")
    wait_until(lambda: "b waiting" in lab.effects)
    done = lab.command("cancel", "last", "--reason", "fire drill")
    assert (done.returncode, engine.wait(20)) == (0, 5), done.stderr
    assert f"process {engine.pid}" in done.stderr
    ran = lab.last()
    assert ran.state.outcome == "cancelled"
    assert ran.statuses == {"a": "passed", "b": "cancelled", "c": "cancelled", "end": "passed"}
    (act,) = ran.of("act.received")
    assert (act["kind"], act["refused"], act["asks"]) == ("cancel", "", {"reason": "fire drill"})
    assert "fire drill" in ran.end("c")["reason"]
    assert not list((ran.folder / "inbox").iterdir())


def test_a_cancel_that_the_engine_died_on_holds_when_the_run_goes_on(lab: Lab) -> None:
    """Once on record it is not forgotten: a resume only brings the run to its end."""
    lab.book(WAITS)
    engine = lab.spawn("runbook", "book")
    wait_until(lambda: "b waiting" in lab.effects)
    send(lab.last().folder, "cancel", {"reason": "fire drill"})
    assert engine.wait(20) == 5
    ran = lab.last()
    lines = (ran.folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    number = next(event.seq for event in ran.events if event.type == "act.received")
    (ran.folder / "journal.jsonl").write_bytes(b"".join(lines[:number]))
    again = lab.resume()
    assert (again.outcome, again.step("c").status) == ("cancelled", "cancelled")
    assert "c work" not in lab.effects


def test_a_cancel_that_waits_in_the_inbox_is_taken_on_resume(lab: Lab) -> None:
    """The engine was killed before it looked: the act is still there, and nothing else runs."""
    lab.book(WAITS)
    engine = lab.spawn("runbook", "book")
    wait_until(lambda: "b waiting" in lab.effects)
    engine.kill()
    engine.wait()
    send(lab.last().folder, "cancel", {"reason": "fire drill"})
    again = lab.resume()
    assert again.outcome == "cancelled"
    assert [line for line in lab.effects if line.startswith(("b", "c"))] == ["b waiting"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"kind": "format c:"}', b"\xff\xfe", b'{"kind": "cancel"' + b" " * 70_000 + b"}"],
)
def test_what_is_no_act_is_refused_on_record(tmp_path: Path, content: bytes) -> None:
    """Whatever lies in an inbox: it is named, refused, and harms nothing."""
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "x.json").write_bytes(content)
    (act,) = Inbox(tmp_path, ()).read()
    assert act.fault == "it does not say what is asked"


def test_links_and_pipes_in_an_inbox_are_not_followed(tmp_path: Path) -> None:
    """A link to a secret, or a pipe that nobody writes to, is refused and does not block."""
    (tmp_path / "inbox").mkdir()
    (tmp_path / "target").write_text('{"kind": "cancel"}')
    (tmp_path / "inbox" / "a").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "inbox" / "b")
    acts = Inbox(tmp_path, ()).read()
    assert [bool(act.fault) for act in acts] == [True, True]


def test_an_act_is_whole_or_not_there_and_is_taken_once(tmp_path: Path) -> None:
    """Drafts are not looked at; what the journal has already is taken away unread."""
    first = send(tmp_path, "cancel", {"reason": "x"})
    (tmp_path / "inbox" / ".draft").write_text("{")
    assert [act.id for act in Inbox(tmp_path, ()).read()] == [first]
    assert Inbox(tmp_path, {first}).read() == []
    assert not (tmp_path / "inbox" / first).exists()


ASKS = """
    steps:
      - {id: sure, confirm: Ready?, checklist: [Flat, Awake], timeout: 1m}
      - {id: go, uses: lab.work}
"""


def test_a_question_is_answered_from_another_terminal(lab: Lab) -> None:
    """The same lines are ticked there; the run takes the answer, names who gave it, and goes on."""
    lab.book(ASKS)
    here = lab.terminal("runbook", "book")
    here.see("1/2  Flat")
    there = lab.terminal("answer", "last")
    there.see("1/2  Flat")
    there.type("y\n")
    there.see("2/2  Awake")
    there.type("y\n")
    code, seen = there.end()
    assert (code, "The run has taken it" in seen) == (0, True)
    here.see("Answered from another terminal")
    assert here.end()[0] == 0
    (answer,) = lab.last().of("prompt.answered")
    assert (answer["accepted"], answer["source"]) == (True, "another process")
    assert lab.effects == ["go work"]


def test_a_no_from_another_terminal_is_a_no(lab: Lab) -> None:
    """It declines the run there as it would here."""
    lab.book(ASKS)
    here = lab.terminal("runbook", "book")
    here.see("1/2  Flat")
    there = lab.terminal("answer", "last")
    there.see("1/2  Flat")
    there.type("n\n")
    assert there.end()[0] == 0
    assert here.end()[0] == 5
    assert lab.effects == []


def test_a_late_answer_does_not_count(lab: Lab) -> None:
    """The question was answered where it stands before: the other answer is on record as refused."""
    lab.book("""
    steps:
      - {id: sure, confirm: Ready?}
      - {id: again, confirm: Really?}
    """)
    here = lab.terminal("runbook", "book")
    here.see("Ready?")
    there = lab.terminal("answer", "last")
    there.see("Ready?")
    there.see("[y/n]")  # what is typed before that is dropped
    here.type("y\n")
    here.see("Really?")
    there.type("y\n")
    code, seen = there.end()
    assert (code, "not open any more" in seen) == (5, True)
    here.type("n\n")
    assert here.end()[0] == 5
    (act,) = lab.last().of("act.received")
    assert act["refused"] == "that question is not open any more"


def test_answer_refuses_where_nobody_sits_and_where_nothing_is_asked(lab: Lab) -> None:
    """Fail closed: no terminal, no answer; a run that asks nothing has nothing to answer."""
    lab.book(ASKS)
    here = lab.terminal("runbook", "book")
    here.see("1/2  Flat")
    piped = lab.command("answer", "last")
    assert (piped.returncode, "terminal" in piped.stderr) == (2, True)
    here.type("n\n")
    here.end()
    over = lab.command("answer", "last")
    assert (over.returncode, "asks nothing" in over.stderr) == (2, True)


@pytest.mark.parametrize("ticks", [[], [True], [True, True, True], ["yes", "yes"], "yy", None])
def test_an_answer_that_does_not_fit_the_question_is_refused(lab: Lab, ticks: object) -> None:
    """Each line needs its own yes: nothing shorter, longer or of another kind passes."""
    lab.book(ASKS)
    here = lab.terminal("runbook", "book")
    here.see("1/2  Flat")
    opened = next(event.seq for event in lab.last().events if event.type == "prompt.opened")
    send(lab.last().folder, "answer", {"prompt": opened, "ticks": ticks})
    wait_until(lambda: lab.last().of("act.received"))
    assert lab.last().of("act.received")[0]["refused"]
    assert not lab.last().of("prompt.answered")
    here.type("n\n")
    assert here.end()[0] == 5


def test_refusals_are_written_down_though_no_run_exists(lab: Lab) -> None:
    """Engine rule 21: who tried what, when, and why it was refused; no parameters, no run's folder."""
    lab.book("\n    steps:\n      - {id: a, uses: lab.nothing}\n")
    lab.book(WAITS, "good")
    assert lab.command("runbook", "book").returncode == 2
    assert lab.command("resume", "last").returncode == 2
    assert lab.command("runbook", "good", "--answers", "none.yaml").returncode == 2
    lines = [json.loads(line) for line in (lab.project.runs / "refusals.jsonl").read_text().splitlines()]
    assert [(line["command"], line["name"]) for line in lines] == [
        ("runbook", "book"),
        ("resume", "last"),
        ("runbook", "good"),
    ]
    assert "none.yaml" in lines[2]["what"]
    assert all({"ts", "what", "operator", "pid"} <= line.keys() for line in lines)
    assert [path.name for path in lab.project.runs.iterdir() if not path.name.startswith(".")] == ["refusals.jsonl"]
