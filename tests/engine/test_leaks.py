"""The last look before a seal: a file of the run that holds a secret keeps the run from being sealed."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from aurora.engine.leaks import refuse_secrets
from aurora.errors import ProjectError, SecretOnRecord
from tests.engine.kit import BASE, bound_steps
from tests.evidence.sealed import Records

VALUE = "t0p s3cret/w0rd"
LEAKY = '''
    import os
    from aurora.engine.context import Context
    from aurora.engine.registry import step


    @step(repeat="safe")
    def leave(context: Context, name: str, form: str) -> None:
        """Write past the artifacts, into the run's own folder."""
        import base64
        from urllib.parse import quote

        value = os.environ["LAB_TOKEN"]
        forms = {
            "plain": value, "base64": base64.b64encode(b"x" + value.encode()).decode(), "quoted": quote(value, safe=""),
            "utf-16": value, "split": value[:7] + chr(10) + value[7:],
        }
        run = next(path for path in (context.project / "runs").glob("2*") if not (path / "evidence.json").exists())
        text = ("line " * 30_000 + forms[form]).encode("utf-16" if form == "utf-16" else "utf-8")
        (run / name).write_bytes(text)
'''


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Records]:
    """A desk whose profile has a secret, and a step that writes it where no mask is."""
    monkeypatch.setenv("LAB_TOKEN", VALUE)
    with bound_steps():
        records = Records(tmp_path / "project")
        assert "secrets: [LAB_TOKEN]" in BASE
        records.lab.steps("leaky", __import__("textwrap").dedent(LEAKY))
        yield records


def leave(records: Records, form: str) -> tuple[int, str, Path]:
    """Run a step that leaves the secret in a file of the run; return exit code, what was said, and the run."""
    records.lab.book(
        f"\n    steps:\n      - {{id: a, uses: leaky.leave, with: {{name: notes.txt, form: {form}}}}}\n", "leak"
    )
    done = records.lab.command("runbook", "leak", env={"LAB_TOKEN": VALUE})
    assert list(records.runs.glob("2*")), done.stderr
    return done.returncode, done.stdout + done.stderr, sorted(records.runs.glob("2*"))[-1]


@pytest.mark.parametrize("form", ["plain", "base64", "quoted", "utf-16"])
def test_secret_in_a_file_keeps_the_run_from_its_seal(records: Records, form: str) -> None:
    """Each form that is masked is found: not sealed, said with the file's name, nothing lost, and not green."""
    code, said, run = leave(records, form)
    assert code == 8
    assert "NOT SEALED: notes.txt of the run" in said
    assert "sealed; ledger head" not in said
    assert (run / "notes.txt").is_file()
    assert not (run / "evidence.json").exists()
    assert (run / "report.html").exists()
    assert records.found() == {"RUN_UNSEALED"}
    for shown in (said, (run / "journal.jsonl").read_text(), (run / "report.html").read_text()):
        assert VALUE not in shown
        assert base64.b64encode(VALUE.encode()).decode() not in shown
        assert quote(VALUE, safe="") not in shown


def test_next_run_does_not_seal_it_either(records: Records) -> None:
    """What the next start would seal for a killed run is looked at just as well; once it is mended, it is sealed."""
    _, _, run = leave(records, "plain")
    records.run()
    assert not (run / "evidence.json").exists()
    assert any("could not be sealed" in said for said in records.said)
    (run / "notes.txt").unlink()
    records.run()
    assert (run / "evidence.json").exists()
    assert records.found() == set()


def test_what_can_not_be_found_is_sealed(records: Records) -> None:
    """The limit, said in docs/evidence.md: a secret cut over two lines is not found."""
    code, _, run = leave(records, "split")
    assert (code, (run / "evidence.json").exists()) == (0, True)


def test_file_named_after_a_secret_is_not_sealed(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name goes into the evidence, too; what is said of it does not repeat it."""
    monkeypatch.setenv("LAB_TOKEN", "s3cret-name")
    records.lab.book("\n    steps:\n      - {id: a, uses: leaky.leave, with: {name: a.txt, form: split}}\n", "leak")
    folder = records.run("leak")
    assert (folder / "evidence.json").exists()

    (folder / "s3cret-name.txt").write_text("empty")
    with pytest.raises(SecretOnRecord) as caught:
        refuse_secrets(records.lab.root, [("s3cret-name.txt", folder / "s3cret-name.txt")], folder.name)
    assert "s3cret-name" not in caught.value.diagnostics()


def test_env_that_others_can_read_is_no_way_around(records: Records) -> None:
    """A `.env` that was opened to others while the run went on stops the seal: the secrets can't be known."""
    path = records.lab.write(".env", "LAB_TOKEN=another-secret\n")
    path.chmod(stat.S_IRUSR | stat.S_IRGRP)
    assert os.access(path, os.R_OK)

    with pytest.raises(ProjectError, match="can be read by other users"):
        refuse_secrets(records.lab.root, [], "run")
