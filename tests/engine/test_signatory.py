"""On a live profile a yes counts once the person has signed it; what keeps her from it is a no (rules 12, 20-22)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from aurora.consent import answers_of, confirmation
from aurora.engine.execute import start_run
from aurora.engine.inbox import send
from aurora.engine.leg import Desk
from aurora.engine.opening import Prepared
from aurora.engine.signatory import only_reduces_orders
from aurora.errors import OperatorError, ResumeRefused, UsageError
from aurora.evidence.persons import VARIABLE
from aurora.journal import hash_of_line
from tests.engine.kit import Lab, Ran, Recorder, kill, wait_until
from tests.evidence.people import LIVE, LiveRecords, Says, make_key, ssh_agent

REAL = shutil.which("ssh-keygen")
SLOW = """
    params:
      profile: {type: string, default: real}
    steps:
      - {id: sure, confirm: "Ready?", timeout: 2s, on_failure: continue}
      - {id: beside, uses: lab.wait_for, needs: [], with: {name: go}}
"""
PLAIN = """
    params:
      profile: {type: string, default: real}
    steps:
      - {id: sure, confirm: "Ready?"}
      - {id: go, uses: lab.work}
"""


@pytest.fixture
def desk(lab: Lab, tmp_path: Path) -> Iterator[LiveRecords]:
    """A live desk of alice's, whose processes the test's lab ends."""
    (tmp_path / "live").mkdir()
    records = LiveRecords(tmp_path / "live" / "project")
    yield records
    records.lab.close()


def environment(desk: LiveRecords, key: Path | None = None, **more: str) -> dict[str, str]:
    """Return the environment of a process in which a person's key is named."""
    return {VARIABLE: str(key or desk.alice), **more}


def put_before_keygen(folder: Path, script: str) -> dict[str, str]:
    """Put a program in front of ssh-keygen, which it finds as $REAL; return the PATH."""
    folder.mkdir()
    (folder / "ssh-keygen").write_text(f"#!/bin/sh\nREAL={REAL}\n{script}\n")
    (folder / "ssh-keygen").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


SIGNS_CONFIRM = """
case "$*" in
"-Y sign"*)
    cat > "$0.in"
    grep -q aurora-confirm "$0.in" && {act}
    exec "$REAL" "$@" < "$0.in" ;;
esac
exec "$REAL" "$@"
"""
"""In front of ssh-keygen: does something when a confirmation is to be signed, then what it was asked to."""


# ── A yes ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_yes_is_signed_and_named(desk: LiveRecords) -> None:
    """The event of the answer holds the signature, whose it is, by which key, and of which question."""
    ran = desk.confirm()
    assert (ran.outcome, ran.code) == ("green", 0)
    (answer,) = ran.of("prompt.answered")
    question = next(event for event in ran.events if event.type == "prompt.opened")
    signature = answer["signature"]
    assert (signature["principal"], signature["question"]) == ("alice@desk", question.seq)
    head = hash_of_line(ran.folder / "journal.jsonl", question.seq)
    text = confirmation(ran.folder.name, head, question.data, answer)
    assert desk.signatory().check(text, signature["sshsig"]).key == signature["key"]
    assert "signed by alice@desk" in ran.end("sure")["reason"]
    opened = ran.of("run.opened")[0]
    assert (opened["live"], opened["operator"]["principal"]) == (True, "alice@desk")


def test_no_needs_no_signature(desk: LiveRecords) -> None:
    """A person who declines is believed at once."""
    ran = desk.confirm(desk.live_desk(Says(yes=False)))
    assert ran.outcome == "declined"
    assert "signature" not in ran.of("prompt.answered")[0]
    assert ran.of("prompt.answered")[0]["reason"] == "answered"


def test_elsewhere_nothing_is_signed(desk: LiveRecords) -> None:
    """On a profile that is not live a yes is a yes, and its record is as it was before there were signatures."""
    ran = desk.confirm(profile="base")
    assert ran.outcome == "green"
    assert set(ran.of("prompt.answered")[0]) == {"step", "accepted", "by", "source", "reason", "answers"}
    assert "live" not in ran.of("run.opened")[0]
    assert "principal" not in ran.of("run.opened")[0]["operator"]


# ── Refused at the start ─────────────────────────────────────────────────────────────────────────────────────────────
def refused(desk: LiveRecords, with_: Desk) -> OperatorError:
    """Return why a run does not start; it leaves no folder."""
    before = [path.name for path in desk.runs.glob("2*")]
    with pytest.raises(OperatorError) as caught:
        desk.confirm(with_)
    assert (caught.value.exit_code, [path.name for path in desk.runs.glob("2*")]) == (2, before)
    assert caught.value.todo
    assert desk.lab.effects == []
    return caught.value


def test_run_that_asks_does_not_start_without_a_key(desk: LiveRecords, tmp_path: Path) -> None:
    """Nobody who signs, no key, an unknown one, the engine's: exit 2 before anything ran, with what to type."""
    unnamed = desk.signatory()
    unnamed._environment = {}
    assert VARIABLE in refused(desk, desk.live_desk(signatory=unnamed)).todo
    mallory = make_key(tmp_path / "mallory")
    assert "keys add" in refused(desk, desk.live_desk(signatory=desk.signatory(mallory))).todo
    assert "KEY_ROLE" in refused(desk, desk.live_desk(signatory=desk.signatory(desk.key))).what
    keeper = desk.keeper()
    assert "Nobody signs" in refused(desk, Desk(Recorder(), Says(), on_end=keeper.closed, keeper=keeper)).what


def test_run_that_asks_does_not_start_with_a_key_that_can_not_sign(
    desk: LiveRecords, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A passphrase that nobody can be asked for, a 0644 key, no ssh-keygen: said before anything ran."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    locked = make_key(tmp_path / "locked", "secret words")
    desk.enter("bob@desk", locked)
    assert "ssh-add" in refused(desk, desk.live_desk(signatory=desk.signatory(locked))).todo
    desk.alice.chmod(0o644)
    assert "chmod 600" in refused(desk, desk.live_desk()).todo
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install OpenSSH" in refused(desk, desk.live_desk()).todo


def test_key_in_an_agent_signs_the_answer(desk: LiveRecords, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The .pub of a key that a real ssh-agent holds; the private half is nowhere else."""
    public = desk.alice.with_name("alice.pub").rename(tmp_path / "agents.pub")
    with ssh_agent() as socket:
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
        subprocess.run(["ssh-add", "-q", desk.alice], check=True, stdin=subprocess.DEVNULL)
        desk.alice.unlink()
        ran = desk.confirm(desk.live_desk(signatory=desk.signatory(public)))
    assert ran.of("prompt.answered")[0]["signature"]["principal"] == "alice@desk"
    assert desk.found(ran.folder.name) == set()


def test_run_that_asks_nobody_needs_no_key(desk: LiveRecords) -> None:
    """A key is for answers: a run without a question, and a dry run, start without one."""
    unnamed = desk.signatory()
    unnamed._environment = {}
    desk.lab.book("\n    params:\n      profile: {type: string, default: real}\n    steps:\n"
                  "      - {id: go, uses: lab.work}\n", "quiet")  # fmt: skip
    assert desk.confirm(desk.live_desk(signatory=unnamed), "quiet").outcome == "green"
    live = desk.live_desk(signatory=unnamed)
    folder, outcome, _ = start_run(desk.lab.project, "book", desk.lab._params("book", None), live, dry_run=True)
    assert outcome == "amber"
    assert not Ran(folder).of("prompt.opened")


def test_script_answers_nothing_on_live(desk: LiveRecords) -> None:
    """A live profile has no --answers, not even on a venue that calls itself simulated."""
    desk.lab.profile("odd", LIVE.replace("venue: live", "venue: simulated"))
    path = desk.lab.write("answers.yaml", "sure: yes\n")
    with pytest.raises(UsageError, match="simulated venue only"):
        start_run(desk.lab.project, "book", {"profile": "odd"}, desk.live_desk(), answers=path)


def test_what_only_reduces_waits_for_no_key(desk: LiveRecords) -> None:
    """Nothing blocks the way out of a position: its yes counts unsigned, the record says why, and verify finds it."""
    desk.lab.steps(
        "way_out",
        """
        from aurora.engine.context import Context
        from aurora.engine.registry import step

        @step(effects=["orders.reduce"])
        def flatten(context: Context) -> None:
            pass
    """,
    )
    desk.lab.book(PLAIN.replace("lab.work", "way_out.flatten"), "out")
    unnamed = desk.signatory()
    unnamed._environment = {}
    ran = desk.confirm(desk.live_desk(signatory=unnamed), "out")
    assert ran.outcome == "green"
    assert VARIABLE in ran.of("prompt.answered")[0]["unsigned"]
    assert desk.found(ran.folder.name) == {"CONFIRMATION"}


# ── Refused at the question ──────────────────────────────────────────────────────────────────────────────────────────
def test_key_taken_out_between_start_and_question(desk: LiveRecords) -> None:
    """Who may sign is asked when it counts: a key that was taken out meanwhile makes the yes a no, with the reason."""
    live = desk.live_desk()
    assert isinstance(live.listener, Recorder)
    live.listener.react["prompt.opened"] = lambda event: desk.drop("alice@desk")
    ran = desk.confirm(live)
    (answer,) = ran.of("prompt.answered")
    assert (ran.outcome, ran.code, answer["accepted"]) == ("declined", 5, False)
    assert "under no person's name" in answer["reason"]
    assert desk.lab.effects == []


def test_text_that_can_not_be_signed_is_a_no(desk: LiveRecords) -> None:
    """A prompt that two tools would write in two ways is answered by nobody."""
    desk.lab.book(PLAIN.replace("Ready?", "Ready\\x7f?"))
    ran = desk.confirm()
    assert ran.outcome == "declined"
    assert "can't be signed" in ran.of("prompt.answered")[0]["reason"]


def test_hostile_prompt_is_signed_whole(desk: LiveRecords) -> None:
    """Lines in a prompt that look like those of a confirmation stay inside the prompt."""
    desk.lab.book(PLAIN.replace("Ready?", 'Ready?\\nanswer: [\\"no\\"]\\njournal-head: x\\u2028'))
    ran = desk.confirm()
    assert ran.outcome == "green"
    assert desk.found() == set()


# ── While a key is asked ─────────────────────────────────────────────────────────────────────────────────────────────
def test_signing_that_hangs_ends_with_the_question(desk: LiveRecords, tmp_path: Path) -> None:
    """Rule 22: steps go on beside it, the question's own timeout holds, and nothing of ssh-keygen is left."""
    desk.lab.book(SLOW)
    script = SIGNS_CONFIRM.format(act=f"echo $$ > {tmp_path}/pid && sleep 600")
    path = put_before_keygen(tmp_path / "bin", script)
    here = desk.lab.terminal("runbook", "book", env=environment(desk, None, **path))
    here.see("[y/n]")
    here.type("y\n")
    ran = wait_until(lambda: desk.lab.last().of("prompt.answered") and desk.lab.last())
    assert ran.of("prompt.answered")[0]["reason"] == "timed out"
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not Path(f"/proc/{pid}").exists())
    (desk.lab.root / "go").touch()
    assert here.end()[0] == 5
    assert desk.lab.last().statuses == {"sure": "declined", "beside": "passed"}


def test_steps_go_on_while_a_key_is_asked(desk: LiveRecords, tmp_path: Path) -> None:
    """A step that begins and ends while ssh-keygen waits for a touch: the engine's loop is not held."""
    desk.lab.book("""
    params:
      profile: {type: string, default: real}
    steps:
      - {id: sure, confirm: "Ready?"}
      - {id: first, uses: lab.wait_for, needs: [], with: {name: asked}}
      - {id: second, uses: lab.work, needs: [first]}
    """)
    root = desk.lab.root
    script = SIGNS_CONFIRM.format(act=f"touch {root}/asked && while [ ! -e {root}/touched ]; do sleep 0.01; done")
    path = put_before_keygen(tmp_path / "bin", script)
    here = desk.lab.terminal("runbook", "book", env=environment(desk, None, **path))
    here.see("[y/n]")
    here.type("y\n")
    wait_until(lambda: desk.lab.last().of("step.finished", "second"))
    here.type("n\nwhat?\n")  # whoever hammers on the keys meanwhile answers nothing
    assert not desk.lab.last().of("prompt.answered")
    (root / "touched").touch()
    assert here.end()[0] == 0
    assert desk.lab.last().of("prompt.answered")[0]["signature"]["principal"] == "alice@desk"


def test_stop_while_a_key_is_asked(desk: LiveRecords, tmp_path: Path) -> None:
    """Ctrl-C ends the signing with the run: no answer is on record as a yes, and the run can be resumed."""
    desk.lab.book(PLAIN)
    script = SIGNS_CONFIRM.format(act=f"echo $$ > {tmp_path}/pid && sleep 600")
    path = put_before_keygen(tmp_path / "bin", script)
    here = desk.lab.terminal("runbook", "book", env=environment(desk, None, **path))
    here.see("[y/n]")
    here.type("y\n")
    wait_until((tmp_path / "pid").exists)
    here.process.send_signal(signal.SIGINT)
    assert here.end()[0] == 7
    assert not desk.lab.last().of("prompt.answered")[0]["accepted"]
    assert desk.go_on().outcome == "green"


def test_kill_between_signature_and_record(desk: LiveRecords, tmp_path: Path) -> None:
    """A signature that no event holds is none: the resumed run asks again, and that answer is signed anew."""
    desk.lab.book(PLAIN)
    act = '{ "$REAL" "$@" < "$0.in" > "$0.out"; kill -9 $PPID; }'
    path = put_before_keygen(tmp_path / "bin", SIGNS_CONFIRM.format(act=act))
    here = desk.lab.terminal("runbook", "book", env=environment(desk, None, **path))
    here.see("[y/n]")
    here.type("y\n")
    assert here.process.wait(20) == -signal.SIGKILL
    assert (tmp_path / "bin" / "ssh-keygen.out").read_text().startswith("-----BEGIN SSH SIGNATURE-----")
    assert not desk.lab.last().of("prompt.answered")
    person = Says()
    ran = desk.go_on(desk.live_desk(person))
    assert (ran.outcome, len(person.asked)) == ("green", 1)
    assert desk.found() == set()


def test_resume_of_a_run_that_asks_needs_a_key(desk: LiveRecords) -> None:
    """What is left of it asks a person, so it does not go on without one who signs; cancelling waits for nobody."""
    ran = desk.confirm()
    ran.cut_after("prompt.opened", "sure")
    for name in ("evidence.json", "evidence.json.sig"):
        (ran.folder / name).unlink()
    unnamed = desk.signatory()
    unnamed._environment = {}
    with pytest.raises(OperatorError, match=VARIABLE):
        desk.go_on(desk.live_desk(signatory=unnamed))
    assert desk.go_on(desk.live_desk(signatory=unnamed), cancel="enough").outcome == "cancelled"


def test_live_run_does_not_go_on_as_another(desk: LiveRecords) -> None:
    """A profile that is no longer marked live does not take a live run's questions over, whoever accepts changes."""
    ran = desk.confirm()
    ran.cut_after("prompt.opened", "sure")
    desk.lab.profile("real", LIVE.replace("live: true", "live: false"))
    with pytest.raises(ResumeRefused, match="was live; now it is not"):
        desk.go_on(accept_changes=True)


# ── From another process ─────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def asking(desk: LiveRecords) -> LiveRecords:
    """A live run that asks at a terminal of alice's; bob may answer, too."""
    desk.enter("bob@desk", make_key(desk.alice.with_name("bob")))
    here = desk.lab.terminal("runbook", "book", env=environment(desk))
    here.see("1/2  Flat")
    return desk


def answer_of(desk: LiveRecords, key: Path, *, ticks: tuple[bool, ...] = (True, True)) -> dict[str, object]:
    """Return the act by which a person answers the open question."""
    ran = desk.lab.last()
    question = next(event for event in ran.events if event.type == "prompt.opened")
    lines = question.data["checklist"] or [question.data["prompt"]]
    answered = {"accepted": all(ticks), "answers": answers_of(lines, ticks)}
    head = hash_of_line(ran.folder / "journal.jsonl", question.seq)
    text = confirmation(ran.folder.name, head, question.data, answered)
    return {"prompt": question.seq, "ticks": list(ticks), "sshsig": desk.signatory(key).sign(text).sshsig}


def sent(desk: LiveRecords, act: dict[str, object]) -> str:
    """Send an act and return why it was refused."""
    folder = desk.lab.last().folder
    name = send(folder, "answer", act)
    found = wait_until(lambda: [each for each in Ran(folder).of("act.received") if each["id"] == name])
    return str(found[0]["refused"])


def test_answer_from_another_terminal_carries_her_signature(asking: LiveRecords) -> None:
    """`invoke answer` signs as whoever sits there; the run names her, and goes on."""
    bob = asking.alice.with_name("bob")
    there = asking.lab.terminal("answer", "last", env=environment(asking, bob))
    there.see("1/2  Flat")
    there.type("y\n")
    there.see("2/2  Awake")
    there.type("y\n")
    code, seen = there.end()
    assert (code, "The run has taken it" in seen) == (0, True)
    assert asking.lab.terminals[0].end()[0] == 0
    (answer,) = asking.lab.last().of("prompt.answered")
    assert (answer["signature"]["principal"], answer["source"]) == ("bob@desk", "another process")
    assert asking.found() == set()


def test_answer_without_a_key_is_not_even_asked(asking: LiveRecords, tmp_path: Path) -> None:
    """Who can't sign is told before she has ticked anything."""
    there = asking.lab.terminal("answer", "last", env=environment(asking, make_key(tmp_path / "mallory")))
    there.see("under no person's name")
    assert there.end()[0] == 2
    assert not asking.lab.last().of("act.received")


def test_acts_that_are_not_signed_as_they_should_be(asking: LiveRecords, tmp_path: Path) -> None:
    """No signature, a stranger's, the engine's, of other ticks, of another head: each is refused, on record."""
    bob = asking.alice.with_name("bob")
    good = answer_of(asking, bob)
    partly = answer_of(asking, bob, ticks=(True, False))
    text = b"aurora-confirm/1\n"
    assert "not signed" in sent(asking, {name: good[name] for name in ("prompt", "ticks")})
    assert "not signed" in sent(asking, {**good, "sshsig": 7})
    assert "SIGNATURE" in sent(asking, {**good, "sshsig": "no signature"})
    assert "SIGNATURE" in sent(asking, {**good, "sshsig": partly["sshsig"]})
    assert "SIGNATURE" in sent(asking, {**good, "sshsig": asking.signatory(bob).sign(text).sshsig})
    assert "not open any more" in sent(asking, {**good, "prompt": 2})
    assert not asking.lab.last().of("prompt.answered")
    asking.drop("bob@desk")
    assert "under no person's name" in sent(asking, good)
    assert not asking.lab.last().of("prompt.answered")


def test_replayed_answer_is_refused(asking: LiveRecords) -> None:
    """What bob signed for a question is no answer when the question is put again, under whatever number it is sent."""
    good = answer_of(asking, asking.alice.with_name("bob"))
    kill(asking.lab.terminals[0].process)
    again = asking.lab.terminal("resume", "last", env=environment(asking))
    again.see("1/2  Flat")
    assert "not open any more" in sent(asking, good)
    events = asking.lab.last().events
    new = [event.seq for event in events if event.type == "prompt.opened"][-1]
    assert "SIGNATURE" in sent(asking, {**good, "prompt": new})
    again.type("n\n")
    assert again.end()[0] == 5


def test_late_answer_is_refused_though_it_is_signed(asking: LiveRecords) -> None:
    """The journal's order decides: the question was answered where it stands."""
    good = answer_of(asking, asking.alice.with_name("bob"))
    here = asking.lab.terminals[0]
    folder = asking.lab.last().folder
    here.type("n\n")
    assert here.end()[0] == 5
    send(folder, "answer", good)
    assert not Ran(folder).of("act.received")
    assert Ran(folder).of("prompt.answered")[0]["accepted"] is False


def test_answer_that_comes_while_another_is_looked_at(desk: LiveRecords, tmp_path: Path) -> None:
    """The terminal was faster than the check of bob's signature: his answer is refused, and not taken for the next."""
    desk.lab.book("""
    params:
      profile: {type: string, default: real}
    steps:
      - {id: sure, confirm: "Ready?"}
      - {id: again, confirm: "Really?"}
    """)
    desk.enter("bob@desk", make_key(desk.alice.with_name("bob")))
    root = desk.lab.root
    slow = f"""
    case "$*" in
    "-Y verify"*bob@desk*) touch {root}/looking; while [ ! -e {root}/looked ]; do sleep 0.01; done ;;
    esac
    exec "$REAL" "$@"
    """
    here = desk.lab.terminal(
        "runbook", "book", env=environment(desk, None, **put_before_keygen(tmp_path / "bin", slow))
    )
    here.see("[y/n]")
    folder = desk.lab.last().folder
    name = send(folder, "answer", answer_of(desk, desk.alice.with_name("bob"), ticks=(True,)))
    wait_until((root / "looking").exists)
    here.type("y\n")
    here.see("Really?")
    (root / "looked").touch()
    (act,) = wait_until(lambda: [each for each in Ran(folder).of("act.received") if each["id"] == name])
    assert "not open any more" in act["refused"]
    here.type("n\n")
    assert here.end()[0] == 5
    assert [each["accepted"] for each in Ran(folder).of("prompt.answered")] == [True, False]


# ── Waivers ──────────────────────────────────────────────────────────────────────────────────────────────────────────
RED = """
    params:
      profile: {type: string, default: real}
    steps:
      - {id: look, gate: 1 == 2}
      - {id: go, uses: lab.work}
"""


def test_waiver_on_live_is_signed(desk: LiveRecords) -> None:
    """Rule 12: the waiver names who signed it; the run is amber, sealed once more, and verifies."""
    desk.lab.book(RED)
    assert desk.confirm().outcome == "red"
    ran = desk.go_on(waive=["look"], reason="the feed is known to be late")
    assert ran.outcome == "amber"
    (waived,) = ran.of("run.resumed")[0]["waivers"]
    assert waived["signature"]["principal"] == "alice@desk"
    assert desk.found(ran.folder.name) == set()
    assert "signed by alice@desk" in (ran.folder / "report.md").read_text()


def test_waiver_on_live_without_a_key_is_refused(desk: LiveRecords, tmp_path: Path) -> None:
    """Nothing is waived and nothing runs: exit 2, with what to type; the run stays as it was."""
    desk.lab.book(RED)
    before = (desk.confirm().folder / "journal.jsonl").read_bytes()
    for key in (make_key(tmp_path / "mallory"), tmp_path / "gone"):
        with pytest.raises(OperatorError, match="The waiver is not signed") as caught:
            desk.go_on(desk.live_desk(signatory=desk.signatory(key)), waive=["look"], reason="x")
        assert caught.value.todo
    assert (desk.lab.last().folder / "journal.jsonl").read_bytes() == before
    assert desk.found() == set()


def test_waiver_elsewhere_is_signed_where_a_key_is_named(desk: LiveRecords) -> None:
    """Off live a key that is named signs; without one the waiver counts, and the report says that it is not signed."""
    desk.lab.book(RED)
    desk.confirm(profile="base")
    (waived,) = desk.go_on(waive=["look"], reason="x").of("run.resumed")[0]["waivers"]
    assert waived["signature"]["principal"] == "alice@desk"
    desk.confirm(profile="base")
    unnamed = desk.signatory()
    unnamed._environment = {}
    ran = desk.go_on(desk.live_desk(signatory=unnamed), waive=["look"], reason="x")
    assert ran.of("run.resumed")[0]["waivers"][0]["signature"] is None
    assert "waived by" in (ran.folder / "report.md").read_text()
    assert "(not signed)" in (ran.folder / "report.md").read_text()


def test_waiver_where_nobody_signs(desk: LiveRecords) -> None:
    """A desk without anybody who signs waives nothing on a live profile, and does elsewhere, unsigned."""
    desk.lab.book(RED)
    keeper = desk.keeper()
    bare = Desk(Recorder(), Says(), on_end=keeper.closed, keeper=keeper)
    desk.confirm()
    with pytest.raises(OperatorError, match="nobody signs here"):
        desk.go_on(bare, waive=["look"], reason="x")
    desk.confirm(profile="base")
    assert desk.go_on(bare, waive=["look"], reason="x").outcome == "amber"


# ── What became of a step ────────────────────────────────────────────────────────────────────────────────────────────
ONCE = """
    params:
      profile: {type: string, default: real}
    steps:
      - {id: act, uses: lab.once}
"""


@pytest.mark.parametrize("yes", [True, False])
def test_word_on_an_unknown_outcome_is_signed(desk: LiveRecords, yes: bool) -> None:
    """Yes lets a step count as done, no lets it run again: on live both are signed."""
    desk.lab.book(ONCE)
    ran = desk.confirm()
    ran.cut_after("step.started", "act")
    again = desk.go_on(desk.live_desk(Says(yes=yes)))
    (answer,) = again.of("prompt.answered")
    assert answer["signature"]["principal"] == "alice@desk"
    assert (again.outcome, desk.lab.effects) == ("green", ["act once"] * (1 if yes else 2))


def test_word_on_an_unknown_outcome_that_is_not_signed_settles_nothing(desk: LiveRecords) -> None:
    """A key that was taken out: the run waits; nothing is done again, and nothing counts as done."""
    desk.lab.book(ONCE)
    ran = desk.confirm()
    ran.cut_after("step.started", "act")
    desk.drop("alice@desk")
    again = desk.go_on(desk.live_desk(Says(yes=False)))
    assert (again.outcome, again.code, desk.lab.effects) == ("waiting", 4, ["act once"])


def test_settle_on_the_command_line_is_refused_on_live(desk: LiveRecords) -> None:
    """Nobody signs a word on the command line: the question is asked at the terminal."""
    desk.lab.book(ONCE)
    desk.confirm().cut_after("step.started", "act")
    with pytest.raises(UsageError, match="signed by who says it"):
        desk.go_on(settle={"act": "done"})


# ── What a run is ────────────────────────────────────────────────────────────────────────────────────────────────────
def test_live_runbook_has_no_part_that_is_not(desk: LiveRecords) -> None:
    """A sub-runbook can't be given a profile of the same venue that is not marked live, and ask unsigned."""
    desk.lab.profile("loose", LIVE.replace("live: true", "live: false"))
    desk.lab.book(PLAIN, "inner")
    desk.lab.book("\n    params:\n      profile: {type: string, default: real}\n    steps:\n"
                  "      - {id: sub, runbook: inner, with: {profile: loose}}\n", "outer")  # fmt: skip
    ran = desk.confirm(book="outer")
    assert ran.outcome == "broken"
    assert "one is live, and the other is not" in str(ran.end("sub")["error"])
    assert not ran.of("prompt.opened")


@pytest.mark.parametrize(
    ("effects", "exempt"),
    [((), False), (("orders.reduce",), True), (("orders.open",), False), (("orders.open", "orders.reduce"), False)],
)
def test_what_only_reduces(effects: tuple[str, ...], exempt: bool) -> None:
    """A plan that could open orders, or has nothing to do with them, waits for signatures."""
    functions = {each: SimpleNamespace(info=SimpleNamespace(effects=(each,))) for each in effects}
    assert only_reduces_orders(cast("Prepared", SimpleNamespace(functions=functions))) is exempt


def test_refused_start_is_on_record(desk: LiveRecords) -> None:
    """Who tried to start a live run without a key is a line of refusals.jsonl."""
    unnamed = desk.signatory()
    unnamed._environment = {}
    refused(desk, desk.live_desk(signatory=unnamed))
    (line,) = (desk.runs / "refusals.jsonl").read_text().splitlines()
    assert VARIABLE in json.loads(line)["what"]
