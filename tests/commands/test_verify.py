"""`verify`, `keys` and `report` at the command line: words, JSON and exit codes."""

from __future__ import annotations

import hashlib
import json

from tests.engine.kit import Lab, wait_until

BOOK = "\n    steps:\n      - {id: a, gate: 1 == 1}\n"


def sealed(lab: Lab) -> str:
    """Run a runbook at the command line and return what that said."""
    lab.book(BOOK)
    done = lab.command("runbook", "book")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_first_rehearsal_makes_a_key_and_says_where(lab: Lab) -> None:
    """The first run on a simulated venue makes a key and says where it is; the next says nothing."""
    said = sealed(lab)
    assert f"a signing key was made: {lab.root / '.keys' / 'engine'}" in said
    assert "sealed; ledger head 2:" in said
    assert "a signing key was made" not in sealed(lab)
    assert (lab.last().folder / "evidence.json.sig").exists()


def test_verified_records_exit_0_and_say_what_is_not_excluded(lab: Lab) -> None:
    """Exit 0 and VERIFIED, and without a witness that a rollback can't be excluded."""
    sealed(lab)
    done = lab.command("verify")
    assert done.returncode == 0
    assert "VERIFIED: 1 sealed run; ledger head 2:" in done.stdout
    assert "no witness given: rollback can't be excluded" in done.stdout
    last = (lab.root / "runs/ledger.jsonl").read_bytes().splitlines(keepends=True)[-1]
    done = lab.command("verify", "last", "--witness", f"2:{hashlib.sha256(last).hexdigest()}")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)


def test_tampered_records_exit_8_in_words_and_in_json(lab: Lab) -> None:
    """Exit 8; each finding with its code, its run, what it is, and what to do; the same as JSON."""
    sealed(lab)
    run = lab.last().folder
    (run / "report.md").write_text("# Fine\n")
    done = lab.command("verify")
    assert done.returncode == 8
    assert f"SUBJECT_DIGEST {run.name}: report.md is not the file that was sealed. To do: restore" in done.stdout
    assert "NOT VERIFIED: 1 finding" in done.stdout
    done = lab.command("verify", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["verified"], document["runs"]) == (8, False, [])
    assert {each["code"] for each in document["findings"]} == {"SUBJECT_DIGEST", "WITNESS_ABSENT"}


def test_what_can_not_be_checked_exits_2(lab: Lab) -> None:
    """No records, no ssh-keygen, nobody to trust, a witness that is none: exit 2 and what to do, never VERIFIED."""
    assert lab.command("verify").returncode == 2
    sealed(lab)
    cases = [
        lab.command("verify", env={"PATH": "/nonexistent"}),
        lab.command("verify", "--signers", "nobody"),
        lab.command("verify", "--witness", "2:abc"),
        lab.command("verify", "no-such-run"),
    ]
    for done in cases:
        assert done.returncode == 2, done
        assert "VERIFIED" not in done.stdout
        assert "to do:" in done.stderr
        assert "Traceback" not in done.stderr


def test_auditors_own_signers_decide(lab: Lab) -> None:
    """With an auditor's copy of allowed_signers, a key that was slipped into runs/ does not count."""
    sealed(lab)
    lab.write(
        "other_signers",
        "somebody@else ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ+5Mz4nDq0G4LqjnH0vYc8M6p1O3cE2kB9bq5mTt0aA\n",
    )
    done = lab.command("verify", "--signers", "other_signers")
    assert done.returncode == 8
    assert "LEDGER_SIGNATURE" in done.stdout


def test_keys_init_and_list(lab: Lab) -> None:
    """`keys init` makes a key once; `keys list` says whose keys may sign what, and which is this engine's."""
    assert "make one: invoke keys init" in lab.command("keys", "list").stdout
    assert "a signing key was made" in lab.command("keys", "init").stdout
    again = lab.command("keys", "init")
    assert (again.returncode, "made" in again.stdout) == (0, False)
    document = json.loads(lab.command("keys", "list", "--json").stdout)
    (signer,) = document["signers"]
    assert (signer["principals"], signer["own"]) == ("engine@desk", True)
    assert document["fingerprint"] == signer["fingerprint"]


def test_report_never_breaks_a_seal(lab: Lab) -> None:
    """`report` renders a sealed run's reports again when that gives the same bytes, and refuses when it does not."""
    sealed(lab)
    run = lab.last().folder
    before = (run / "report.html").read_bytes()
    (run / "report.html").write_text("gone")
    assert lab.command("report", "last").returncode == 0
    assert (run / "report.html").read_bytes() == before
    assert lab.command("verify", "last").returncode == 0
    (run / "evidence.json").write_bytes((run / "evidence.json").read_bytes().replace(b"report.md", b"report.mf"))
    done = lab.command("report", "last")
    assert done.returncode == 1
    assert "is sealed, and its report.md would be another one now" in done.stderr


def test_run_that_goes_on_is_no_finding(lab: Lab) -> None:
    """A run that a process is at work on is said to be running, and fails nothing."""
    lab.book("\n    steps:\n      - {id: a, uses: lab.wait_for, with: {name: go}}\n")
    process = lab.spawn("runbook", "book")
    wait_until(lambda: "a waiting" in lab.effects)
    done = lab.command("verify")
    assert done.returncode == 0
    assert "RUNNING" in done.stdout
    (lab.root / "go").touch()
    process.wait(20)
    assert lab.command("verify").returncode == 0


def test_report_opens_in_the_browser_that_there_is(lab: Lab) -> None:
    """`report --open` hands the page to the browser; where there is none, it says so and where the page lies."""
    sealed(lab)
    browser = lab.write("browser", f'#!/bin/sh\necho "$1" > {lab.root}/opened\n')
    browser.chmod(0o755)
    done = lab.command("report", "last", "--open", env={"BROWSER": f"{browser} %s"})
    assert done.returncode == 0
    assert wait_until(lambda: (lab.root / "opened").read_text() if (lab.root / "opened").exists() else "").startswith(
        (lab.last().folder / "report.html").as_uri()
    )
    done = lab.command("report", "last", "--open", env={"BROWSER": "/nowhere %s", "PATH": "/nowhere", "DISPLAY": ""})
    assert (done.returncode, "No browser could be started here" in done.stdout) == (0, True)


def test_export_signs_only_what_verifies(lab: Lab) -> None:
    """`export --dsse` writes the envelope of a sealed run; one that was changed gets no second signature."""
    sealed(lab)
    run = lab.last().folder
    done = lab.command("export", "last", "--dsse")
    if "cryptography is not installed" in done.stderr:
        assert (done.returncode, "aurora-runbooks[dsse]" in done.stderr) == (2, True)
    else:
        assert (done.returncode, (run / "evidence.dsse.json").exists()) == (0, True)
        assert lab.command("verify", "last").returncode == 0
    (run / "report.md").write_text("# Fine\n")
    done = lab.command("export", "last", "--dsse")
    assert (done.returncode, "nothing was signed" in done.stderr) == (1, True)
    assert lab.command("export", "last").returncode == 2
