"""What verify says of persons' signatures, and what an auditor finds of one with stock tools alone."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aurora.consent import clearing
from aurora.evidence import signing
from aurora.evidence.confirmations import Verifier
from aurora.evidence.persons import listed_as_engine
from aurora.evidence.signing import Trust
from aurora.journal import Event, read_journal
from tests.engine.kit import ROOT, bound_steps, wait_until
from tests.evidence.people import LiveRecords, make_key
from tests.evidence.sealed import Records, copy_of, path_of, rechained

TOOLS = ("bash", "ssh-keygen", "jq", "sha256sum", "sed", "cut", "cat", "tr")
HOSTILE = "Ready? 'now' $(id)\\nanswer: [\\\"no\\\",[]]\\u2028"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveRecords]:
    """A live desk with one sealed run in which alice confirmed a prompt that is none too nice, and waived a gate."""
    with bound_steps():
        records = LiveRecords(tmp_path_factory.mktemp("confirmed") / "project", f"""
    params:
      profile: {{type: string, default: real}}
    steps:
      - {{id: sure, confirm: "{HOSTILE}", checklist: [Flat, "Awake '$(id)'"]}}
      - {{id: look, gate: 1 == 2}}
        """)  # fmt: skip
        records.confirm()
        records.go_on(waive=["look"], reason="it is known")
        assert not records.found()
        yield records


@pytest.fixture
def desk(original: LiveRecords, tmp_path: Path) -> Records:
    """A copy of it, to be attacked."""
    return copy_of(original, tmp_path / "project")


def folder_of(desk: Records) -> Path:
    """Return its one run."""
    (folder,) = desk.runs.glob("2*")
    return folder


def found_of_persons(desk: Records) -> set[str]:
    """Return what is found of persons' signatures alone, as by one who has the engine's key and sealed all anew."""
    trust = Trust.of(desk.runs)
    folder = folder_of(desk)
    path = folder / "journal.jsonl"
    verifier = Verifier(trust, listed_as_engine(trust.signers))
    return {finding.code for finding in verifier.run(folder.name, read_journal(path).events, path)}


Lines = list[dict[str, Any]]


def line_of_type(lines: Lines, type_: str) -> dict[str, Any]:
    """Return the data of the first line of a type."""
    data: dict[str, Any] = next(line["data"] for line in lines if line["type"] == type_)
    return data


def set_in(type_: str, *names: str | int, value: object) -> Callable[[Lines], None]:
    """Return what changes a value in the first line of a type."""

    def change(lines: Lines) -> None:
        place: Any = line_of_type(lines, type_)
        for name in names[:-1]:
            place = place[name]
        place[names[-1]] = value

    return change


# ── With the engine's key ────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param(set_in("prompt.answered", "answers", 0, "answer", value="no"), "SIGNATURE", id="another tick"),
        pytest.param(set_in("prompt.answered", "answers", 0, "line", value="Rich"), "SIGNATURE", id="another line"),
        pytest.param(set_in("prompt.answered", "accepted", value=False), "SIGNATURE", id="a yes made a no"),
        pytest.param(set_in("prompt.answered", "step", value="other"), "CONFIRMATION", id="another step"),
        pytest.param(set_in("prompt.opened", "prompt", value="Really?"), "SIGNATURE", id="another prompt"),
        pytest.param(set_in("prompt.opened", "timeout_s", value=9), "SIGNATURE", id="another question by its line"),
        pytest.param(set_in("run.opened", "runbook", value="x"), "SIGNATURE", id="another history before it"),
        pytest.param(set_in("prompt.answered", "signature", value=None), "CONFIRMATION", id="unsigned"),
        pytest.param(set_in("prompt.answered", "signature", value={}), "CONFIRMATION", id="an empty signature"),
        pytest.param(set_in("prompt.answered", "signature", "question", value=[1]), "CONFIRMATION", id="no question"),
        pytest.param(set_in("prompt.answered", "signature", "question", value=99), "CONFIRMATION", id="no such one"),
        pytest.param(set_in("prompt.answered", "signature", "principal", value="bob"), "KEY_ROLE", id="another name"),
        pytest.param(set_in("prompt.answered", "signature", "sshsig", value=7), "SIGNATURE", id="no signature at all"),
        pytest.param(set_in("prompt.answered", "answers", value=["yes"]), "CONFIRMATION", id="answers of no form"),
        pytest.param(set_in("prompt.answered", "answers", value=None), "CONFIRMATION", id="no answers"),
        pytest.param(set_in("run.resumed", "waivers", 0, "reason", value="x"), "SIGNATURE", id="another reason"),
        pytest.param(set_in("run.resumed", "waivers", 0, "step", value="x"), "SIGNATURE", id="another step waived"),
        pytest.param(set_in("run.resumed", "waivers", 0, "signature", value=None), "CONFIRMATION", id="bare waiver"),
    ],
)
def test_changed_word_is_found_by_its_own_signature(desk: Records, change: Callable[[Lines], None], code: str) -> None:
    """Whoever has the engine's key and seals everything anew still can't put words into a person's mouth."""
    assert found_of_persons(desk) == set()
    rechained(folder_of(desk) / "journal.jsonl", change)
    assert code in found_of_persons(desk)


def test_sed_on_the_journal_is_found(desk: Records) -> None:
    """`sed s/yes/no/` without any key: the digest, the chain, and the signature of the answer."""
    path = folder_of(desk) / "journal.jsonl"
    path.write_text(path.read_text().replace('"yes"', '"no"'))
    assert {"SUBJECT_DIGEST", "JOURNAL_CHAIN"} <= desk.found()


def test_confirmation_of_another_run_is_found(desk: Records) -> None:
    """An answer that was signed in one run says nothing in another, though everything in it reads the same."""
    path = folder_of(desk) / "journal.jsonl"
    trust = Trust.of(desk.runs)
    verifier = Verifier(trust, listed_as_engine(trust.signers))
    assert {each.code for each in verifier.run("another", read_journal(path).events, path)} == {"SIGNATURE"}


def test_unsigned_yes_of_a_live_run_is_a_finding_in_words(desk: Records) -> None:
    """The sentence says whose answer, where, and what to do; verify's exit is that of something found."""
    path = folder_of(desk) / "journal.jsonl"
    rechained(path, lambda lines: line_of_type(lines, "prompt.answered").pop("signature"))
    (finding,) = [each for each in desk.verify().findings if each.code == "CONFIRMATION"]
    assert "the answer to sure" in finding.what
    assert "no person signed" in finding.what
    assert (finding.is_note, "ask who said yes" in finding.todo) == (False, True)


# ── Keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_confirmation_is_checked_at_its_own_time(desk: Records) -> None:
    """A key that has ended since takes nothing along; one that had ended before it signed is found."""
    signers = desk.runs / "allowed_signers"
    text = signers.read_text()
    soon = f"{datetime.now(UTC).replace(year=datetime.now(UTC).year + 1):%Y%m%d}Z"
    signers.write_text(text.replace("review@aurora", f'review@aurora",valid-before="{soon}'))
    assert desk.found() == set()
    signers.write_text(text.replace("review@aurora", 'review@aurora",valid-before="20200101Z'))
    assert desk.found() == {"KEY_EXPIRED"}


def test_key_that_has_ended_a_moment_after_it_signed(desk: Records) -> None:
    """What counts is the time of the signed line, not that of the look at it."""
    events = read_journal(folder_of(desk) / "journal.jsonl").events
    last = max(datetime.fromisoformat(each.ts) for each in events if each.type in ("prompt.answered", "run.resumed"))
    end = last.replace(microsecond=0) + timedelta(seconds=1)
    wait_until(lambda: datetime.now(UTC) > end + timedelta(seconds=1))  # ssh-keygen counts the whole last second
    signers = desk.runs / "allowed_signers"
    limited = f'review@aurora",valid-before="{end:%Y%m%d%H%M%S}Z'
    signers.write_text(signers.read_text().replace("review@aurora", limited))
    assert desk.found() == set()


def test_confirmation_by_a_key_that_is_revoked_or_gone(desk: Records, original: LiveRecords) -> None:
    """A key on the list of revoked keys, and one that nobody lists any more, confirm nothing."""
    words = ["ssh-keygen", "-q", "-k", "-f", str(desk.runs / "revoked_keys"), f"{original.alice}.pub"]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    assert desk.found() == {"KEY_REVOKED"}
    (desk.runs / "revoked_keys").unlink()
    signers = desk.runs / "allowed_signers"
    signers.write_text("".join(line for line in signers.read_text().splitlines(True) if "alice" not in line))
    assert desk.found() == {"SIGNATURE"}


def test_engines_key_confirms_nothing(desk: Records) -> None:
    """The engine's key, listed as a person's by whoever could write there, is found in a confirmation."""
    public = (desk.lab.root / ".keys" / "engine.pub").read_text()
    with (desk.runs / "allowed_signers").open("a") as file:
        file.write(f'bob@desk namespaces="confirm@aurora" {public}')
    path = folder_of(desk) / "journal.jsonl"
    forged = signing.sign(b"x", desk.key, signing.CONFIRM).decode()
    rechained(path, set_in("prompt.answered", "signature", "sshsig", value=forged))
    assert "KEY_ROLE" in found_of_persons(desk)


# ── What is said of it ───────────────────────────────────────────────────────────────────────────────────────────────
def test_evidence_names_principal_and_line(desk: Records) -> None:
    """evidence.json says who confirmed, with which key, and on which line of the journal the signature stands."""
    folder = folder_of(desk)
    statement = json.loads((folder / "evidence.json").read_bytes())
    (told,) = statement["predicate"]["confirmations"]
    event = read_journal(folder / "journal.jsonl").events[told["journalSeq"] - 1]
    assert (told["principal"], told["key"]) == (event.data["signature"]["principal"], event.data["signature"]["key"])
    assert statement["predicate"]["runDetails"]["operator"]["principal"] == "alice@desk"


@pytest.mark.parametrize("name", ["report.md", "report.html"])
def test_reports_say_who_signed_with_which_key(desk: Records, name: str) -> None:
    """Beside the answer: the name, and the key's fingerprint."""
    folder = folder_of(desk)
    (told,) = json.loads((folder / "evidence.json").read_bytes())["predicate"]["confirmations"]
    text = (folder / name).read_text().replace("\\", "").replace("&#43;", "+").replace("<wbr>", "")
    assert re.search(rf"signed by alice@desk with {re.escape(told['key'])}", text)


# ── Without Aurora ───────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH with the auditor's tools and no Python."""
    return path_of(tmp_path / "bin", TOOLS)


def typed(desk: Records, tools: Path) -> subprocess.CompletedProcess[str]:
    """Type what docs/evidence.md says of one confirmation, with the run's name and the line's number in place."""
    text = (ROOT / "docs" / "evidence.md").read_text()
    script = text.partition("<!-- one confirmation -->")[2].partition("```sh\n")[2].partition("```")[0]
    folder = folder_of(desk)
    (told,) = json.loads((folder / "evidence.json").read_bytes())["predicate"]["confirmations"]
    script = script.replace("RUN=…", f"RUN={folder.name}").replace("LINE=…", f"LINE={told['journalSeq']}")
    assert folder.name in script
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=desk.runs, env={"PATH": str(tools), "TMPDIR": str(tools)}, capture_output=True, text=True,
    )  # fmt: skip


def test_auditor_checks_one_confirmation(desk: Records, tools: Path) -> None:
    """The commands of docs/evidence.md, typed as they stand, show what was signed and that it was by alice."""
    done = typed(desk, tools)
    assert done.returncode == 0, done.stderr
    assert 'Good "confirm@aurora" signature for alice@desk' in done.stdout
    assert done.stdout.startswith("aurora-confirm/1\nrun: ")
    assert '"Flat","yes"' in done.stdout


def test_auditor_finds_a_changed_word(desk: Records, tools: Path) -> None:
    """`sed s/yes/no/` on the journal: ssh-keygen refuses the signature."""
    path = folder_of(desk) / "journal.jsonl"
    path.write_text(path.read_text().replace('"answer":"yes"', '"answer":"no"'))
    done = typed(desk, tools)
    assert done.returncode != 0
    assert "Good" not in done.stdout


def test_auditor_finds_a_confirmation_by_a_stranger(desk: Records, tools: Path, tmp_path: Path) -> None:
    """A signature of the same words by a key that nobody entered is none."""
    path = folder_of(desk) / "journal.jsonl"
    stranger = make_key(tmp_path / "mallory")
    forged = signing.sign(b"x", stranger, signing.CONFIRM).decode()
    rechained(path, set_in("prompt.answered", "signature", "sshsig", value=forged))
    assert typed(desk, tools).returncode != 0


# ── Said twice ───────────────────────────────────────────────────────────────────────────────────────────────────────
def test_yes_of_an_earlier_asking_is_none_of_a_later_one(desk: Records) -> None:
    """Whoever has the engine's key can't let one signed yes answer the same question once more."""

    def again(lines: Lines) -> None:
        (asked,) = [index for index, line in enumerate(lines) if line["type"] == "prompt.answered"]
        opened = next(line for line in lines if line["type"] == "prompt.opened")
        lines[asked + 1 : asked + 1] = [opened, lines[asked]]

    rechained(folder_of(desk) / "journal.jsonl", again)
    assert found_of_persons(desk) >= {"CONFIRMATION"}
    journal = folder_of(desk) / "journal.jsonl"
    verifier = Verifier(Trust.of(desk.runs), frozenset())
    said = [each.what for each in verifier.run(folder_of(desk).name, read_journal(journal).events, journal)]
    assert any("no question" in what for what in said)


def test_act_that_was_signed_once_holds_once(desk: Records, original: LiveRecords) -> None:
    """One signed clearing does not clear the kill flag twice."""
    act: dict[str, Any] = {
        "act": "kill.cleared",
        "flag": "x",
        "reason": "over",
        "at": "2026-11-20T20:00:00.000000Z",
        "live": True,
    }
    act["signature"] = original.signatory().sign(clearing(act)).plain()
    verifier = Verifier(Trust.of(desk.runs), frozenset())
    at = datetime.now(UTC).isoformat()
    first, second = (Event(number, at, "act", act) for number in (1, 2))
    assert list(verifier.acts([first])) == []
    assert [each.code for each in verifier.acts([first, second])] == ["CONFIRMATION"]


def test_key_that_sealed_is_the_engines_whatever_the_list_says(desk: Records) -> None:
    """A list that names the engine's key as a person's alone does not make it one: it signed the ledger."""
    public = (desk.lab.root / ".keys" / "engine.pub").read_text()
    signers = desk.runs / "allowed_signers"
    signers.write_text(signers.read_text().replace("engine@desk", '"engine@desk"').replace("run@aurora,ledger@", "*@"))
    with signers.open("a") as file:
        file.write(f'bob@desk namespaces="confirm@aurora,review@aurora" {public}')
    folder = folder_of(desk)
    made = signing.sign((folder / "evidence.json").read_bytes(), desk.key, signing.REVIEW)
    (folder / "review.bob@desk.sig").write_bytes(made)
    assert "REVIEWED" not in desk.found()
    assert "KEY_ROLE" in desk.found()
