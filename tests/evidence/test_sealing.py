"""Sealing: in order, once, and completed by the next start wherever SIGKILL cut it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aurora.engine.execute import start_run
from aurora.errors import LedgerDamaged, RecordError, SigningFailed
from aurora.evidence import sealing
from aurora.evidence.keeper import SigningKeeper
from aurora.evidence.ledger import Ledger
from aurora.journal import read_journal
from tests.engine.kit import ROOT, bound_steps, kill, wait_until
from tests.evidence.sealed import Records, copy_of, now

KILLER = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
root, point = Path(sys.argv[1]), int(sys.argv[2])
calls = 0

def due(*_):
    global calls
    calls += 1
    if calls == point:
        os.kill(os.getpid(), signal.SIGKILL)

def audited(event, given):
    # every write of a file, every name that changes, every subprocess: whatever the world could see of a seal
    if event in ("open", "os.rename", "os.remove", "os.truncate", "subprocess.Popen"):
        if event == "open" and not (isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR)):
            return
        due()

from aurora.evidence import ledger, sealing
from aurora.evidence.keeper import SigningKeeper
from aurora.evidence.files import render_reports
runs = root / "runs"
keeper = SigningKeeper(root, print)
render_reports(max(runs.glob("2*")))  # modules and templates are loaded now, not while points are counted

write, sync = os.write, os.fsync
def torn(descriptor, raw):
    global calls
    raw = bytes(raw)
    calls += 1
    if calls == point:
        write(descriptor, raw[: len(raw) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    return write(descriptor, raw)
def synced(descriptor):
    due()
    sync(descriptor)
ledger.os = type("Os", (), {**vars(os), "write": staticmethod(torn), "fsync": staticmethod(synced)})
sys.addaudithook(audited)
last = max(runs.glob("2*"))
if sys.argv[3] == "seal":
    keeper.closed(last)
elif sys.argv[3] == "reopen":
    sealing.reopen_run(last, root / ".keys" / "engine", datetime.now(UTC))
else:
    sealing.open_run(last, root / ".keys" / "engine", sealing.first_line(last), datetime.now(UTC), print)
print("points", calls)
"""


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    """A desk without any run."""
    with bound_steps():
        yield Records(tmp_path / "project")


@pytest.fixture(scope="module")
def unsealed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Records]:
    """A desk with one sealed run, and one that has ended and was killed before its seal."""
    with bound_steps():
        records = Records(tmp_path_factory.mktemp("unsealed") / "project")
        records.run()
        desk = records.desk()
        desk.on_end = bool  # the process is killed before it seals
        start_run(records.lab.project, "book", records.lab._params("book", {}), desk)
        assert records.found() == {"RUN_UNSEALED"}
        yield records


def killed_at(records: Records, point: int, act: str = "seal") -> subprocess.CompletedProcess[str]:
    """Seal the newest run, or open it, in a process of its own that is killed at its `point`-th visible act."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", KILLER, str(records.lab.root), str(point), act]
    return subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)


@pytest.mark.slow
def test_seal_survives_a_kill_at_every_act(unsealed: Records, tmp_path: Path) -> None:
    """SIGKILL at each write, sync, rename and subprocess of a seal: none is false, and the next start completes it."""
    whole = killed_at(copy_of(unsealed, tmp_path / "whole"), 0)
    points = int(whole.stdout.split("points ")[1])
    assert points > 20
    for point in range(1, points + 1):
        records = copy_of(unsealed, tmp_path / f"killed-{point}")
        assert killed_at(records, point).returncode == -signal.SIGKILL, point
        with Ledger.locked(records.runs, records.key):
            pass  # a start mends the ledger
        last = max(records.runs.glob("2*")).name
        found = records.found()
        assert found in (set(), {"RUN_UNSEALED"}), (point, found)
        SigningKeeper(records.lab.root, records.said.append).closed(records.runs / last)
        assert records.found() == set(), (point, records.verify().findings)
        assert not list(records.runs.glob("ledger.jsonl.sig.next"))


@pytest.mark.slow
def test_first_line_of_a_ledger_survives_a_kill_at_every_act(unsealed: Records, tmp_path: Path) -> None:
    """SIGKILL at each act of opening the very first run: the next start mends it, and the run has one line."""

    def fresh(name: str) -> Records:
        records = copy_of(unsealed, tmp_path / name)
        for path in records.runs.glob("ledger.jsonl*"):
            path.unlink()
        journal = max(records.runs.glob("2*")) / "journal.jsonl"
        journal.write_bytes(journal.read_bytes().splitlines(keepends=True)[0])
        return records

    points = int(killed_at(fresh("whole"), 0, "open").stdout.split("points ")[1])
    assert points > 5
    for point in range(1, points + 1):
        records = fresh(f"killed-{point}")
        assert killed_at(records, point, "open").returncode == -signal.SIGKILL, point
        last = max(records.runs.glob("2*"))
        head = sealing.open_run(last, records.key, sealing.first_line(last), now(), records.said.append)
        assert head.seq == 1, point
        assert len(records.ledger.read_text().splitlines()) == 1
        assert not [finding for finding in records.verify(last.name).findings if finding.run == "ledger"][1:], point


def test_next_run_seals_what_a_killed_one_left(unsealed: Records, tmp_path: Path) -> None:
    """A run that ended and was killed before its seal is sealed when the next one starts, and that is said."""
    records = copy_of(unsealed, tmp_path / "project")
    last = max(records.runs.glob("2*")).name
    with Ledger.locked(records.runs, records.key) as ledger:
        assert list(ledger.text.unsealed()) == [last]
    records.run()
    assert records.found() == set()
    assert any(last in line and "sealed now" in line for line in records.said)


def test_run_is_in_the_ledger_before_its_first_step(records: Records) -> None:
    """The ledger's line comes before the first step, names the journal's first line, and the journal names it."""
    folder = records.run()
    events = read_journal(folder / "journal.jsonl").events
    assert [event.type for event in events[:2]] == ["run.opened", "ledger.entered"]
    opened, sealed = map(json.loads, records.ledger.read_text().splitlines())
    assert opened["data"] == {"run": folder.name, "journal": sealing.first_line(folder)}
    assert events[1].data["seq"] == 1
    assert (sealed["type"], sealed["data"]["outcome"], sealed["data"]["runbooks"]) == ("run.sealed", "green", ["book"])


def test_red_runs_are_sealed_as_well(records: Records) -> None:
    """A red run is evidence, too: FAILED, sealed, and verified."""
    folder = records.run(good=False)
    predicate = json.loads((folder / "evidence.json").read_bytes())["predicate"]
    assert (predicate["result"], predicate["outcome"], predicate["exitCode"]) == ("FAILED", "red", 3)
    assert records.found(folder.name) == set()


def test_killed_and_resumed_run_is_sealed_once(tmp_path: Path) -> None:
    """A run killed in a step is not sealed and verify says INTERRUPTED; resumed, it is sealed by its one line."""
    with bound_steps():
        records = Records(tmp_path / "project", "\n    steps:\n      - {id: a, uses: lab.wait_for, with: {name: go}}\n")
        process = records.lab.spawn("runbook", "book")

        wait_until(lambda: "a waiting" in records.lab.effects)
        kill(process)
        wait_until(lambda: records.found() == {"INTERRUPTED"})
        assert not list(records.runs.glob("2*/evidence.json"))
        (records.lab.root / "go").touch()
        folder = records.resume()
        assert records.found(folder.name) == set()
        types = [json.loads(line)["type"] for line in records.ledger.read_text().splitlines()]
        assert types == ["run.opened", "run.sealed"]
        records.lab.close()


def test_cancel_seals(tmp_path: Path) -> None:
    """Only cancel seals a run that is not finished: ABORTED (engine rule 20)."""
    with bound_steps():
        records = Records(tmp_path / "project", "\n    steps:\n      - {id: a, uses: lab.wait_for, with: {name: go}}\n")

        process = records.lab.spawn("runbook", "book")
        wait_until(lambda: "a waiting" in records.lab.effects)
        kill(process)
        folder = records.resume(cancel="cancelled: no more")
        assert json.loads((folder / "evidence.json").read_bytes())["predicate"]["result"] == "ABORTED"
        assert records.found() == set()
        records.lab.close()


def test_two_processes_seal_one_run_once(unsealed: Records, tmp_path: Path) -> None:
    """Two that seal at once wait for each other: one line, one seal."""
    records = copy_of(unsealed, tmp_path / "project")
    last = max(records.runs.glob("2*"))
    threads = [threading.Thread(target=sealing.seal_run, args=(last, records.key, now())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert records.found() == set()
    assert len(records.ledger.read_text().splitlines()) == 4


def test_evidence_is_a_function_of_the_folder(records: Records, tmp_path: Path) -> None:
    """Sealing once more gives the same bytes, and the same signature."""
    folder = records.run()
    before = [(folder / name).read_bytes() for name in ("evidence.json", "evidence.json.sig")]
    ledger = records.rewrite_ledger(lambda lines: lines.pop())
    records.sign_ledger(ledger)
    sealing.seal_run(folder, records.key, now())
    assert [(folder / name).read_bytes() for name in ("evidence.json", "evidence.json.sig")] == before


def test_unfinished_run_is_never_sealed(records: Records) -> None:
    """Evidence of a run whose journal has no end can't be made."""
    folder = records.run()
    records.sign_ledger(records.rewrite_ledger(lambda lines: lines.pop()))
    path = folder / "journal.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    with pytest.raises(RecordError, match="not finished"):
        sealing.seal_run(folder, records.key, now())


def test_torn_ledger_line_is_cut_and_kept(records: Records) -> None:
    """A half-written ledger line is moved aside and the ledger goes on; bytes after a whole line are not forgiven."""
    records.run()
    whole = records.ledger.read_bytes()
    records.ledger.write_bytes(whole + b'{"seq":3,"prev')
    records.run()
    assert records.ledger.read_bytes().startswith(whole)
    assert records.found() == set()
    (torn,) = records.runs.glob("ledger.jsonl.torn-*")
    assert torn.read_bytes() == b'{"seq":3,"prev'
    records.ledger.write_bytes(records.ledger.read_bytes() + b"{}\n")
    with pytest.raises(LedgerDamaged):
        records.keeper().ready(records.runs, simulated=True, must=True)


def test_ledger_without_its_signature_is_not_signed_anew(records: Records) -> None:
    """To delete the signature does not make Aurora sign what it finds."""
    records.run()
    (records.runs / "ledger.jsonl.sig").unlink()
    with pytest.raises(LedgerDamaged):
        records.keeper().ready(records.runs, simulated=True, must=True)
    assert records.found() == {"LEDGER_SIGNATURE"}


def test_artifacts_with_names_that_lie_are_not_sealed(records: Records) -> None:
    """A file whose name holds a line break could add a line to the list of digests: it is not sealed."""
    folder = records.run()
    records.sign_ledger(records.rewrite_ledger(lambda lines: lines.pop()))
    (folder / "artifacts").mkdir()
    (folder / "artifacts" / "a\nb").write_text("")
    with pytest.raises(RecordError, match="can't be listed"):
        sealing.seal_run(folder, records.key, now())


def test_run_goes_on_unsealed_without_a_way_to_sign(lab_without_keygen: Records) -> None:
    """Without ssh-keygen a simulated run goes on and says that it leaves no signed record; nothing is called sealed."""
    records = lab_without_keygen
    records.run()
    assert any("no signed record" in line and "ssh-keygen is not installed" in line for line in records.said)
    assert not any(line.startswith("sealed") for line in records.said)
    assert not list(records.runs.glob("2*/evidence.json"))
    with pytest.raises(SigningFailed):
        records.keeper().ready(records.runs, simulated=True, must=True)


@pytest.mark.parametrize(
    ("spoil", "said"), [("mode", "chmod 600"), ("passphrase", "ssh-add"), ("unknown", "invoke keys list")]
)
def test_key_that_can_not_sign_seals_nothing(records: Records, tmp_path: Path, spoil: str, said: str) -> None:
    """A key that others can read, one with a passphrase and no agent, one that nobody allowed: never sealed."""
    if spoil == "mode":
        records.run()
        records.key.chmod(0o644)
    elif spoil == "passphrase":
        records.run()
        words = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "long enough", "-f", str(records.key)]
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    else:
        records.run()
        for name in ("engine", "engine.pub"):
            records.key.with_name(name).unlink()
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(records.key)]
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    records.said.clear()
    folder = records.run()
    assert any("no signed record" in line and said in line for line in records.said), records.said
    assert not any(line.startswith("sealed") for line in records.said)
    assert not (folder / "evidence.json").exists()
    assert records.found() == {"RUN_UNKNOWN"}


def test_stale_signature_is_replaced(unsealed: Records, tmp_path: Path) -> None:
    """A signature that lies there already is not taken for this seal's: ssh-keygen would keep it, and exit 0."""
    records = copy_of(unsealed, tmp_path / "project")
    last = max(records.runs.glob("2*"))
    first = min(records.runs.glob("2*"))
    for name in ("evidence.json", "evidence.json.sig"):
        (last / name).write_bytes((first / name).read_bytes() if (first / name).exists() else b"stale")
    sealing.seal_run(last, records.key, now())
    assert records.found() == records.found(last.name) == set()


@pytest.fixture
def lab_without_keygen(records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Records:
    """A desk on a machine without OpenSSH."""
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    return records
