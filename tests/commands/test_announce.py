"""`announce`, and the outbox that runs fill: heads that leave the machine, and that never hold up a run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aurora.alerts.base import Alert, Priority
from aurora.alerts.unsent import Unsent, UnsentAlerts
from aurora.evidence.ledger import Head
from aurora.evidence.outbox import Announcement, Outbox
from aurora.evidence.witness import head_line, last_head
from tests.engine.kit import ROOT, Lab, processes_in, wait_until
from tests.push_server import HANG, PushServer, free_port

BOOK = """
    params:
      profile: {type: string, default: paper_strict}
      good: {type: boolean, default: true}
    steps:
      - {id: a, gate: params.good}
"""


@pytest.fixture
def desk(lab: Lab) -> Lab:
    """A project with the shipped profiles, one of which pushes on a simulated venue."""
    shutil.rmtree(lab.project.profiles)
    shutil.copytree(ROOT / "profiles", lab.project.profiles)
    (lab.project.profiles / "policy.yaml").unlink()
    lab.book(BOOK)
    lab.write("pyproject.toml", '[tool.aurora]\ndesk = "north"\n')
    return lab


def remote_of(lab: Lab) -> Path:
    """Make a guarded git remote, and name it as the project's witness."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    path = lab.root.parent / "remote.git"
    subprocess.run(["git", "init", "--quiet", "--bare", path], check=True)
    for name in ("denyNonFastForwards", "denyDeletes"):
        subprocess.run(["git", "-C", path, "config", f"receive.{name}", "true"], check=True)
    lab.write("pyproject.toml", f'[tool.aurora]\ndesk = "north"\nwitness = "{path}"\n')
    return path


def is_sent(lab: Lab) -> bool:
    """Return whether nothing waits in the outbox."""
    outbox = Outbox(lab.project.runs)
    return not outbox.alerts() and outbox.push() is None


def test_run_tells_its_heads(desk: Lab) -> None:
    """A profile whose alerts push tells the head when a run opens, in the least voice, and its outcome at the end."""
    with PushServer() as server:
        done = desk.command("runbook", "book", env={"NTFY_URL": server.address})
        assert done.returncode == 0, done.stderr
        head = last_head(desk.project.runs)
        assert head is not None
        line = head_line("north", head)
        wait_until(lambda: any(line in each.text for each in server.received), what="the last head")
        wait_until(lambda: is_sent(desk))
        assert not {each.priority for each in server.received} - {"min", "low"}
        assert "green" in server.received[-1].title
        done = desk.command("runbook", "book", "--no-good", env={"NTFY_URL": server.address})
        assert done.returncode == 3
        wait_until(lambda: server.received[-1].priority == "default", what="a red run's summary")
        wait_until(lambda: is_sent(desk))
        assert "red" in server.received[-1].title


def test_saved_alerts_are_a_witness(desk: Lab, tmp_path: Path) -> None:
    """What was pushed, saved as ntfy gives it, verifies the ledger, and finds one that was rolled back."""
    with PushServer() as server:
        desk.command("runbook", "book", env={"NTFY_URL": server.address})
        wait_until(lambda: is_sent(desk) and server.received)
        saved = tmp_path / "saved.json"
        saved.write_text("".join(json.dumps({"message": each.text}) + "\n" for each in server.received))
    done = desk.command("verify", "--witness-file", str(saved))
    assert (done.returncode, "no witness given" in done.stdout) == (0, False), done.stdout
    saved.write_text(f"{saved.read_text()}aurora south 1 {'0' * 64}\n")
    assert desk.command("verify", "--witness-file", str(saved)).returncode == 0  # another desk's
    saved.write_text(f"aurora north 1 {'0' * 64}\n")
    done = desk.command("verify", "--witness-file", str(saved))
    assert (done.returncode, "WITNESS_MISMATCH" in done.stdout) == (8, True)
    saved.write_text(f"aurora south 1 {'0' * 64}\n")
    done = desk.command("verify", "--witness-file", str(saved))
    assert (done.returncode, "heads of south" in done.stderr) == (2, True)
    assert desk.command("verify", "--witness-file", "nowhere").returncode == 2


def test_skew_is_found_at_the_command_line(desk: Lab) -> None:
    """A head with the time of its receipt shows a line that was dated otherwise."""
    desk.command("runbook", "book", "--profile", "sim")
    head = last_head(desk.project.runs)
    assert head is not None
    done = desk.command("verify", "--witness", f"{head.seq}:{head.sha256}@2020-01-01T00:00:00Z")
    assert (done.returncode, "TIME_SKEW ledger: line 2" in done.stdout) == (8, True)


def test_network_that_is_down_holds_up_nothing(desk: Lab) -> None:
    """What can't be sent stays in the outbox, is said by status and doctor, and is sent later in one alert."""
    nowhere = {"NTFY_URL": "http://127.0.0.1:1/topic"}
    for _ in range(2):
        assert desk.command("runbook", "book", env=nowhere).returncode == 0
    done = desk.command("announce", env=nowhere)
    assert (done.returncode, "nothing listens at that address" in done.stdout) == (1, True), done.stdout
    assert "4 heads not told yet" in desk.command("announce", "--list", env=nowhere).stdout
    assert "heads not told yet" in desk.command("status", env=nowhere).stdout
    assert "heads not told yet" in desk.command("doctor", env=nowhere).stdout
    with PushServer() as server:
        assert desk.command("announce", env={"NTFY_URL": server.address}).returncode == 0
        (alert,) = server.received
        assert alert.text.count("aurora north ") == 4
    done = desk.command("announce")
    assert (done.returncode, done.stdout) == (0, "Everything has been announced.\n")


def test_server_that_hangs_does_not_hold_up_a_run(desk: Lab) -> None:
    """A run ends while its first announcement still waits for a server that does not answer."""
    with PushServer(HANG, HANG, HANG, HANG) as server:
        done = desk.command("runbook", "book", env={"NTFY_URL": server.address})
        assert done.returncode == 0
        assert Outbox(desk.project.runs).alerts()
        server.released.set()
        desk.command("announce", env={"NTFY_URL": server.address})  # waits for those that wait, and sends what is left
        wait_until(lambda: is_sent(desk), 60)


def test_outbox_that_can_not_be_written_stops_nothing(desk: Lab) -> None:
    """Where the outbox is in the way, the run is sealed all the same, and it is said."""
    desk.project.runs.mkdir()
    (desk.project.runs / ".outbox").write_text("in the way")
    done = desk.command("runbook", "book", env={"NTFY_URL": "http://127.0.0.1:1/x"})
    assert done.returncode == 0
    assert "could not be put into the outbox" in done.stdout
    assert "sealed; ledger head" in done.stdout


def test_profile_that_does_not_push_announces_nothing(desk: Lab) -> None:
    """A rehearsal under `sim` leaves no outbox and starts nobody."""
    assert desk.command("runbook", "book", "--profile", "sim").returncode == 0
    assert not (desk.project.runs / ".outbox").exists()


def test_outbox_keeps_what_is_whole(tmp_path: Path) -> None:
    """Torn and foreign files in the outbox are not sent and stop nothing; the newest push counts."""
    outbox = Outbox(tmp_path)
    first = Announcement("2026-11-20T20:00:00Z", "opened", "r", "p", 1, "a" * 64)
    later = Announcement("2026-11-20T20:01:00Z", "green", "r", "p", 2, "b" * 64)
    for each in (later, first):
        outbox.put(each, alert=True, push=True)
    for name, text in (("1.json", "{"), ("2.json", "[]"), ("3.json", '{"at": 1}')):
        (tmp_path / ".outbox" / name).write_text(text)
    assert outbox.alerts() == [first, later]
    assert first.head == Head(1, "a" * 64)
    assert outbox.unreadable() == ["1.json", "2.json", "3.json"]
    assert outbox.push() == later
    outbox.pushed(first.seq)
    assert outbox.push() == later  # put while an earlier one was pushed
    outbox.pushed(later.seq)
    outbox.sent([first, later])
    assert (outbox.push(), outbox.alerts()) == (None, [])


def test_ledger_goes_to_the_git_witness(desk: Lab) -> None:
    """With a witness in pyproject.toml each run's ledger is pushed beside it, whatever its profile, and verifies."""
    remote = remote_of(desk)
    assert desk.command("runbook", "book", "--profile", "sim").returncode == 0
    wait_until(lambda: is_sent(desk), 60)
    done = desk.command("verify", "--witness-git")
    assert (done.returncode, "no witness given" in done.stdout) == (0, False), done.stdout + done.stderr
    assert desk.command("verify", "--remote", str(remote)).returncode == 0
    shutil.rmtree(remote)
    done = desk.command("verify", "--witness-git")
    assert (done.returncode, "VERIFIED" in done.stdout) == (2, False)


def test_rollback_is_an_alarm_at_the_next_run(desk: Lab, tmp_path: Path) -> None:
    """A ledger that was put back to an older one: an alert, ALARM at the next run and in status, exit 8 of announce."""
    remote_of(desk)
    desk.command("runbook", "book", "--profile", "sim")
    wait_until(lambda: is_sent(desk), 60)
    shutil.copytree(desk.project.runs, tmp_path / "older")
    desk.command("runbook", "book", "--profile", "sim")
    wait_until(lambda: is_sent(desk) and not processes_in(desk.root), 60)  # whoever sends still writes its note
    shutil.rmtree(desk.project.runs)
    shutil.copytree(tmp_path / "older", desk.project.runs)
    with PushServer() as server:
        env = {"NTFY_URL": server.address}
        assert desk.command("runbook", "book", env=env).returncode == 0
        wait_until(lambda: any(each.priority == "urgent" for each in server.received), 60)
        wait_until(lambda: Outbox(desk.project.runs).alarm)
        done = desk.command("announce", env=env)
        assert (done.returncode, "ALARM: The git witness" in done.stdout) == (8, True), done.stdout
        # one alarm; a push whose answer came late is sent again, which its later lines say
        assert len({each.text.partition("\n")[0] for each in server.received if each.priority == "urgent"}) == 1
        assert "ALARM: The git witness" in desk.command("runbook", "book", env=env).stdout
        assert "ALARM" in desk.command("status", env=env).stdout
        done = desk.command("verify", "--witness-git", env=env)
        assert (done.returncode, "WITNESS_MISMATCH" in done.stdout) == (8, True)
        desk.command("announce", env=env)


@pytest.mark.parametrize(
    "table",
    [
        'witness = "https://me:s3cret@host/x.git"',
        'witness = "--upload-pack=touch hacked"',
        "witness = 7",
        'desk = "a b"',
        'x = "y"',
    ],
)
def test_settings_that_are_wrong_are_refused(desk: Lab, table: str) -> None:
    """A password in an address, a flag for git, words that can't stand in a head: exit 2, no secret shown."""
    desk.write("pyproject.toml", f"[tool.aurora]\n{table}\n")
    done = desk.command("announce")
    assert done.returncode == 2
    assert "s3cret" not in done.stdout + done.stderr
    assert "to do:" in done.stderr


def test_nothing_to_announce(desk: Lab) -> None:
    """Without records there is nothing to say, and no folder is made."""
    assert desk.command("announce").returncode == 0
    assert not desk.project.runs.exists()
    done = desk.command("verify", "--witness-git", env={"HOME": os.environ.get("HOME", "/")})
    assert done.returncode == 2


SOUND = {"at": "2026-11-20T20:00:00Z", "what": "green", "run": "r", "profile": "sim", "seq": 7, "sha256": "a" * 64}
UNSOUND: tuple[dict[str, object], ...] = (
    {"at": 7}, {"at": "noon"}, {"at": "2026-11-20T20:00:00"}, {"run": ["r"]}, {"run": "r\naurora north 9 x"},
    {"profile": None}, {"profile": {}}, {"seq": "7"}, {"seq": 7.0}, {"seq": True}, {"sha256": "A" * 64},
    {"what": 1}, {"more": 1},
)  # fmt: skip


@pytest.mark.parametrize("name", ["000000000007-green.json", "push-000000000007.json"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        "x" * 100_000,
        *(json.dumps({**SOUND, **change}) for change in UNSOUND),
    ],
)  # fmt: skip
def test_outbox_says_what_it_can_not_read(tmp_path: Path, name: str, text: str) -> None:
    """A file that a power cut or somebody left is sent by nobody, stops nobody, and is not forgotten in silence."""
    outbox = Outbox(tmp_path)
    (tmp_path / ".outbox").mkdir()
    (tmp_path / ".outbox" / name).write_text(json.dumps(SOUND))
    assert (outbox.alerts(), outbox.push()) != ([], None)
    (tmp_path / ".outbox" / name).write_text(text)
    assert (outbox.alerts(), outbox.push(), outbox.unreadable()) == ([], None, [name])
    assert outbox.wants_push == name.startswith("push")


def test_outbox_waits_for_no_pipe(tmp_path: Path) -> None:
    """A pipe or a link under an announcement's name is none, and nobody waits for it."""
    outbox = Outbox(tmp_path)
    (tmp_path / ".outbox").mkdir()
    os.mkfifo(tmp_path / ".outbox" / "000000000007-green.json")
    (tmp_path / ".outbox" / "push-000000000007.json").symlink_to("nowhere")
    assert (outbox.alerts(), outbox.push(), len(outbox.unreadable())) == ([], None, 2)


def test_push_that_can_not_be_read_is_pushed_all_the_same(desk: Lab) -> None:
    """Nothing is called announced while an empty file stands where a push was to be: the ledger of now goes out."""
    assert desk.command("runbook", "book", "--profile", "sim").returncode == 0
    remote = remote_of(desk)
    (desk.project.runs / ".outbox").mkdir()
    (desk.project.runs / ".outbox" / "push-000000000002.json").touch()
    (desk.project.runs / ".outbox" / "000000000002-green.json").touch()
    done = desk.command("announce", "--list")
    assert (done.returncode, "2 in runs/.outbox/ can't be read" in done.stdout) == (1, True), done.stdout
    done = desk.command("announce")
    assert (done.returncode, "the git witness has the head 2" in done.stdout) == (1, True), done.stdout
    assert desk.command("verify", "--remote", str(remote)).returncode == 0
    (desk.project.runs / ".outbox" / "000000000002-green.json").unlink()
    assert desk.command("announce").stdout == "Everything has been announced.\n"


# ── Alerts that nobody took ──────────────────────────────────────────────────────────────────────────────────────────
def leave_one(desk: Lab) -> None:
    """Leave an alert that nobody took."""
    at = datetime(2026, 1, 5, 14, 35, tzinfo=UTC)
    alert = Alert("left over", "text", Priority.HIGH, (), at)
    UnsentAlerts(desk.root).put(Unsent(alert, "paper_strict", ("NTFY_URL",), "no network"))


def test_announce_sends_the_alerts_that_wait(desk: Lab) -> None:
    """What waits is listed, kept while nobody takes it (exit 1), and sent by `announce` once somebody does."""
    leave_one(desk)
    nowhere = {"NTFY_URL": f"http://127.0.0.1:{free_port()}/t"}
    assert "1 alert nobody took yet" in desk.command("announce", "--list", env=nowhere).stdout
    assert "1 alert nobody took yet" in desk.command("status", env=nowhere).stdout
    assert desk.command("announce", env=nowhere).returncode == 1
    with PushServer() as server:
        done = desk.command("announce", env={"NTFY_URL": server.address})
        assert (done.returncode, "left over: push" in done.stdout or "left over" in done.stdout) == (0, True)
    assert [each.title for each in server.received] == ["(late) left over"]
    assert UnsentAlerts(desk.root).waiting() == []


def test_the_next_run_sends_what_waits(desk: Lab) -> None:
    """A run of any profile starts the sender, and waits for nothing."""
    leave_one(desk)
    with PushServer() as server:
        done = desk.command("runbook", "book", "--profile", "sim", env={"NTFY_URL": server.address})
        assert done.returncode == 0, done.stderr
        wait_until(lambda: not UnsentAlerts(desk.root).waiting(), 60)
    assert "(late) left over" in [each.title for each in server.received]
