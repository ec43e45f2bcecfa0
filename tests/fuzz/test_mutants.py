"""Mutants of the shipped runbooks and profiles: lint answers each in its own words, and no run goes on under one."""

from __future__ import annotations

import random
import shutil
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aurora import library
from aurora.commands import lint
from aurora.commands.parser import parse
from aurora.engine.document import parse_document
from aurora.engine.faults import RunbookError
from aurora.engine.opening import changes_since, opening_facts, prepare, read_params
from aurora.engine.project import Project
from aurora.errors import AuroraError, ResumeRefused
from tests.engine.kit import ROOT, Lab, Ran, bound_steps
from tests.fuzz.mutations import mutant

ANSWERS = ROOT / "profiles" / "answers" / "rehearse.yaml"
CHUNK = 50
SHORT, LONG = 500, 20_000
RUNBOOK = "go-live"
OTHERS = ("daily-shadow", "warmup")
"""go-live runs the other runbooks; these have runs of their own."""


@dataclass
class Desk:
    """A copy of the shipped project, with a run of each whole runbook opened on it, and each file's true text."""

    project: Project
    opened: Mapping[str, Mapping[str, Any]]
    files: Mapping[Path, bytes]

    def runbook_of(self, path: Path) -> str:
        """Return the runbook whose run hangs on the file."""
        return path.stem if path.stem in OTHERS else RUNBOOK


def copied(root: Path) -> Project:
    """Copy the shipped runbooks, steps and profiles."""
    for name in ("runbooks", "steps", "profiles"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    return Project(root, "aurora.desk:services", calendars="aurora.market.calendar:CALENDARS")


HOW = {"dry_run": False, "step_by_step": False}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A copy of the shipped project with its runs opened, as a crash right after `run.opened` leaves them."""
    root = tmp_path_factory.mktemp("desk")
    with bound_steps():
        project = copied(root)
        opened = {}
        for name in (RUNBOOK, *OTHERS):
            prepared = prepare(project, name, library.parameters(project, name, {"profile": "sim"}))
            opened[name] = opening_facts(prepared, root / "runs" / name, HOW, None, [], None)
        files = [*sorted(project.runbooks.glob("*.yaml")), *sorted(project.profiles.glob("*.yaml"))]
        yield Desk(project, opened, {path: path.read_bytes() for path in files})


def answer_of_lint(desk: Desk, seed: int) -> str:
    """Lint the project as `invoke lint` does; return what it says to a person, empty when nothing is wrong."""
    found: RunbookError | None = None
    try:
        lint.execute(desk.project, parse(lambda: desk.project, ["lint"]))
    except RunbookError as error:
        found = error
    if found is None:
        return ""
    assert found.faults, f"seed {seed}: an error without a fault"
    for fault in found.faults:
        assert min(fault.place.line, fault.place.column) >= 1, f"seed {seed}: {fault}"
        assert (desk.project.root / fault.place.file).is_file(), f"seed {seed}: {fault}"
    return found.diagnostics()


def resumed(desk: Desk, path: Path) -> str:
    """Return why a run that was opened on the true files can't go on with those of now; empty when it can."""
    name = desk.runbook_of(path)
    opened = desk.opened[name]
    try:
        changes = changes_since(prepare(desk.project, name, read_params(desk.project, opened)), opened)
    except AuroraError as error:
        return error.diagnostics()
    return "; ".join(changes)


def judge(desk: Desk, seed: int) -> bool:
    """Hold one mutant to the rules; return whether lint found nothing wrong with it."""
    path = random.Random(seed).choice(list(desk.files))
    true = desk.files[path]
    changed = mutant(seed, true)
    sys.stdout.write(f"seed {seed}: {path.name}\n")  # what pytest shows last of a mutant that hangs
    path.write_bytes(changed)
    try:
        said = answer_of_lint(desk, seed)
        why = resumed(desk, path)
    except Exception as error:
        error.add_note(f"seed {seed}, a mutant of {path.name}")
        raise
    finally:
        path.write_bytes(true)
    strange = {character for character in said + why if not (character.isprintable() or _is_harmless(character))}
    assert not strange, f"seed {seed}: characters {strange} reach the terminal"
    if parse_document(changed, "").data != parse_document(true, "").data:
        hangs_on_it = path.name in names_of_inputs(desk, path)
        assert why or not hangs_on_it, f"seed {seed}: a run of the true {path.name} goes on with the mutant"
    return not said


def _is_harmless(character: str) -> bool:
    """Return whether a character that counts as not printable is the end of a line, or a space of another width."""
    return character == "\n" or unicodedata.category(character) == "Zs"


def names_of_inputs(desk: Desk, path: Path) -> set[str]:
    """Return the names of the files that the run hangs on."""
    return {Path(each["name"]).name for each in desk.opened[desk.runbook_of(path)]["inputs"]}


def judge_chunk(desk: Desk, chunk: int) -> None:
    """Judge one chunk of seeds; were no mutant sound, the rule of resuming would not have been tried."""
    sound = [judge(desk, seed) for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK)]
    assert any(sound)
    assert not all(sound)


@pytest.mark.parametrize("chunk", range(SHORT // CHUNK))
def test_a_mutant_is_answered_in_words_and_never_taken_for_the_original(desk: Desk, chunk: int) -> None:
    """Lint answers with faults that have places, or none, and a run of the original does not go on with the mutant."""
    judge_chunk(desk, chunk)


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize("chunk", range(SHORT // CHUNK, LONG // CHUNK))
def test_many_mutants_are_answered_in_words(desk: Desk, chunk: int) -> None:
    """The same for 20,000 mutants."""
    judge_chunk(desk, chunk)


def interrupted(lab: Lab, runbook: str, after: str, **params: Any) -> Ran:
    """Run a shipped runbook and cut its journal behind a step's end, as a kill at that moment leaves it."""
    leg = library.run(lab.project, runbook, {"profile": "sim", **params}, answers=ANSWERS)
    ran = Ran(leg.folder, leg.outcome, leg.exit_code)
    ran.cut_after("step.finished", after)
    return ran


def refused_with(lab: Lab, ran: Ran, path: Path, changed: bytes) -> str:
    """Put `changed` in the place of a file and resume; return why that was refused, and put the file back."""
    true, journal = path.read_bytes(), (ran.folder / "journal.jsonl").read_bytes()
    path.write_bytes(changed)
    with pytest.raises(ResumeRefused) as caught:
        library.resume(lab.project, ran.folder.name)
    path.write_bytes(true)
    assert (ran.folder / "journal.jsonl").read_bytes() == journal
    return caught.value.diagnostics()


@pytest.fixture
def shipped(tmp_path: Path) -> Iterator[Lab]:
    """The shipped project with the means of a Lab."""
    with bound_steps():
        lab = Lab(tmp_path / "project")
        for name in ("runbooks", "steps", "profiles"):
            shutil.rmtree(lab.root / name)
        lab.project = copied(lab.root)
        yield lab
        lab.close()


LOOSER = [
    ("runbooks/go-live.yaml", "      - flat\n", "      - {check: flat, severity: advisory}\n"),
    ("runbooks/go-live.yaml", "      - fallbacks == 0\n", ""),
    ("runbooks/go-live.yaml", "rejected == 0", "rejected >= 0"),
    ("runbooks/go-live.yaml", "    timeout: 2m\n", "    timeout: 2h\n"),
    ("runbooks/preflight.yaml", "    gate: absent\n", "    gate: {check: absent, message: looser}\n"),
    ("runbooks/preflight.yaml", "cash_usd > 0", "cash_usd > -1"),
    ("runbooks/eod.yaml", 'check: "missed == []",', 'check: "missed == []", severity: advisory,'),
    ("profiles/base.yaml", "halt_ms: 1000", "halt_ms: 9000"),
    ("profiles/sim.yaml", "mode: live", "mode: paper"),
    ("profiles/policy.yaml", '    - {uses: limits.caps, gate: "problems == []"}\n', ""),
]


@pytest.mark.slow
def test_a_real_run_does_not_go_on_with_a_looser_file(shipped: Lab) -> None:
    """A run cut short is refused with each looser file that lints, by name, and taken up with the true ones."""
    ran = interrupted(shipped, "go-live", "kill_switch", steps=3, poll_sec=0.1)
    for name, old, new in LOOSER:
        path = shipped.root / name
        text = path.read_text()
        assert old in text
        assert f"{name} was changed" in refused_with(shipped, ran, path, text.replace(old, new).encode())
    library.resume(shipped.project, ran.folder.name, cancel="the true files are back")
    assert [each["changes"] for each in ran.of("run.resumed")] == [[]]


@pytest.mark.parametrize("told", [False, True])
def test_only_a_person_who_says_so_goes_on_with_a_mutant(shipped: Lab, told: bool) -> None:
    """`accept_changes` is the one way on with a looser file, and the journal says what was accepted."""
    ran = interrupted(shipped, "preflight", "caps")
    path = shipped.root / "runbooks" / "preflight.yaml"
    looser = path.read_bytes().replace(b"cash_usd > 0", b"cash_usd > -1")
    if not told:
        assert "runbooks/preflight.yaml was changed" in refused_with(shipped, ran, path, looser)
        return
    path.write_bytes(looser)
    library.resume(shipped.project, ran.folder.name, accept_changes=True)
    (resumed_with,) = ran.of("run.resumed")
    assert resumed_with["changes"] == ["runbooks/preflight.yaml was changed"]


def test_the_profile_of_a_sub_runbook_is_an_input(lab: Lab) -> None:
    """Engine rule 15: a sub-runbook with a profile of its own does not go on when that profile has changed."""
    lab.profile("strict", "extends: base\nlimit: 1\n")
    lab.book(
        """
        params:
          profile: {type: string, default: base}
        steps:
          - {id: first, uses: lab.work, gate: n < profile.limit + 1}
          - {id: last, uses: lab.work}
        """,
        "inner",
    )
    lab.book("""
        steps:
          - {id: start, uses: lab.work}
          - {id: sub, runbook: inner, with: {profile: strict}}
    """)
    ran = lab.run()
    ran.cut_after("step.finished", "start")
    path = lab.root / "profiles" / "strict.yaml"
    assert "profiles/strict.yaml was changed" in refused_with(lab, ran, path, b"extends: base\nlimit: 100\n")
    assert lab.resume().outcome == "green"


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5, 6])
def test_the_command_line_answers_a_mutant_without_a_traceback(shipped: Lab, seed: int) -> None:
    """`lint` and `runbook` of a mutant with faults: exit 2, words on standard error, nothing run."""
    path = shipped.root / "runbooks" / "preflight.yaml"
    while not parse_document(changed := mutant(seed, path.read_bytes()), "").faults:
        seed += 100
    path.write_bytes(changed)
    for words in (["lint"], ["runbook", "preflight"], ["runbook", "go-live"]):
        done = shipped.command(*words)
        assert (done.returncode, done.stdout) == (2, ""), f"seed {seed}: {done.stderr}"
        assert "runbooks/preflight.yaml:" in done.stderr, f"seed {seed}"
        assert "Traceback" not in done.stderr, f"seed {seed}"
    assert not list(shipped.project.runs.glob("*/journal.jsonl"))
