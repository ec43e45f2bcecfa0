"""The house itself: locks, layers, lengths, set-up and the package keep what CONTRIBUTING.md promises."""

from __future__ import annotations

import ast
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OURS = ("aurora", "steps", "tests", "benchmarks")
WHOLE = "# Kept whole: "


def sources(*folders: str) -> Iterator[Path]:
    """Yield the Python files of `folders`."""
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def where(path: Path, line: int = 1) -> str:
    """Name a line of the project as an editor can open it."""
    return f"{path.relative_to(ROOT)}:{line}"


# ── Locks ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def read_lock(name: str) -> dict[str, tuple[Requirement, frozenset[str]]]:
    """Return the pins of a lock by package, each with its hashes."""
    text = (ROOT / "requirements" / f"{name}.lock").read_text().replace("\\\n", " ")
    pins: dict[str, tuple[Requirement, frozenset[str]]] = {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        requirement, *hashes = line.split("--hash=")
        pin = Requirement(requirement.strip())
        assert pin.name not in pins, f"{pin.name} is in {name}.lock twice"
        pins[pin.name] = (pin, frozenset(part.strip() for part in hashes))
    return pins


@pytest.mark.parametrize("name", ["run", "dev", "conformance"])
def test_lock_pins_one_version_and_its_hashes(name: str) -> None:
    """Each package in a lock has one exact version and SHA-256 hashes, so that only the reviewed files install."""
    pins = read_lock(name)
    assert pins
    for pin, hashes in pins.values():
        assert re.fullmatch(r"==[^*,]+", str(pin.specifier)), pin
        assert hashes, f"{pin.name} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes), pin.name


@pytest.mark.parametrize("name", ["run", "dev", "conformance"])
def test_lock_names_no_address(name: str) -> None:
    """A lock says which files, never where from: that is the business of whoever installs."""
    text = (ROOT / "requirements" / f"{name}.lock").read_text()
    assert not re.search(r"://|file:|^\s*-(?!-hash)", text, re.MULTILINE)


def test_tests_run_on_what_live_runs_on() -> None:
    """The dev lock pins each package of the run lock to the same version and the same files."""
    dev = read_lock("dev")
    for name, (pin, hashes) in read_lock("run").items():
        assert str(dev[name][0].specifier) == str(pin.specifier), name
        assert dev[name][1] == hashes, name


def test_locks_hold_what_pyproject_asks_for() -> None:
    """A dependency added to pyproject.toml without `make lock` fails here and not on the trader's machine."""
    project = PYPROJECT["project"]
    build = PYPROJECT["build-system"]["requires"]
    assert PYPROJECT["dependency-groups"]["build"] == build
    for lock, wanted in {
        "run": [*project["dependencies"], *build],
        "dev": project["optional-dependencies"]["dev"],
        "conformance": PYPROJECT["dependency-groups"]["conformance"],
    }.items():
        pins = {name.lower(): pin for name, (pin, _) in read_lock(lock).items()}
        for requirement in map(Requirement, wanted):
            pin = pins.get(canonicalize_name(requirement.name))
            assert pin is not None, f"{requirement} is not in {lock}.lock; run `make lock`"
            assert requirement.specifier.contains(str(pin.specifier).removeprefix("==")), f"{requirement}: {pin}"


# ── One truth ────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_version_is_said_once() -> None:
    """The version stands in aurora/__init__.py and nowhere else; pyproject.toml reads it from there."""
    assert PYPROJECT["project"]["dynamic"] == ["version"]
    assert PYPROJECT["tool"]["hatch"]["version"]["path"] == "aurora/__init__.py"
    named = [where(path) for path in sources(*OURS) if re.search(r"^__version__\s*=", path.read_text(), re.MULTILINE)]
    assert named == ["aurora/__init__.py:1"]


def test_wheel_holds_the_data_files(tmp_path: Path) -> None:
    """Whatever lies in aurora/ beside the modules (schemas, templates, py.typed) is in the wheel."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "aurora").rglob("*") if path.is_file()]
    expected = {name for name in files if not name.endswith((".py", ".pyc"))}
    assert "aurora/py.typed" in expected
    names = set(zipfile.ZipFile(wheel).namelist())
    assert expected <= names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"aurora"}


# ── Readable ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_modules_stay_short() -> None:
    """A module of more than 400 lines says why it is kept whole."""
    long = [
        f"{where(path)} {text.count(chr(10))} lines"
        for path in sources("aurora", "steps")
        if (text := path.read_text()).count("\n") > 400 and WHOLE not in text
    ]
    assert not long, f"split them, or say `{WHOLE}…`"


def test_functions_stay_short() -> None:
    """A function of more than 40 lines (30 in steps/), its docstring aside, says why it is kept whole."""
    long = []
    for path in sources("aurora", "steps"):
        limit = 30 if path.is_relative_to(ROOT / "steps") else 40
        text = path.read_text()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[ast.get_docstring(node) is not None :]
                lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
                if lines > limit and WHOLE not in (ast.get_source_segment(text, node) or ""):
                    long.append(f"{where(path, node.lineno)} {node.name}: {lines} lines")
    assert not long, f"split them, or say `{WHOLE}…`"


def test_each_test_states_its_rule() -> None:
    """The docstring of each test is one line: the rule that would be broken."""
    without = []
    for path in sources("tests"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                rule = ast.get_docstring(node)
                if not rule or "\n" in rule:
                    without.append(f"{where(path, node.lineno)} {node.name}")
    assert not without


def test_each_exception_to_a_rule_has_a_reason() -> None:
    """A `noqa` says in words why, and so does each rule that pyproject.toml switches off."""
    bare = [
        where(path, number)
        for path in sources(*OURS)
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if re.search(r"#\s*noqa\b(?!:\s*[A-Z0-9, ]+ - \w)", line) and path != Path(__file__)
    ]
    text = (ROOT / "pyproject.toml").read_text()
    (ignore,) = re.findall(r"^ignore = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    bare += [line.strip() for line in ignore.splitlines() if not re.search(r"# \w.{8,}", line)]
    assert not bare


# ── Layers ───────────────────────────────────────────────────────────────────────────────────────────────────────────
OFFENCES = {
    "Imports go one way": ("aurora/market/offence.py", "import aurora.journal"),
    "Aurora's rooms know no steps": ("aurora/risk/offence.py", "import steps"),
    "Steps get their services from the engine": ("steps/offence.py", "import aurora.commands"),
    "The engine and the evidence know no trading": ("aurora/engine/offence.py", "import aurora.market"),
    "Only aurora.ibkr imports the IB client": ("aurora/brokers/offence.py", "import ib_async"),
    "Only the desk builds notifiers": ("aurora/analytics/offence.py", "import aurora.alerts.push"),
    "Nothing imports the task file": ("aurora/session/offence.py", "def late() -> None:\n    import tasks"),
    "No cycles": ("aurora/execution/offence.py", "import aurora.execution.second"),
}


def test_each_import_contract_bites(tmp_path: Path) -> None:
    """import-linter finds an offence against each contract of pyproject.toml, in a lazy import too."""
    for folder in ("aurora", "steps"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for file, text in OFFENCES.values():
        (tmp_path / file).write_text(text + "\n")
    (tmp_path / "aurora/execution/second.py").write_text("import aurora.execution.offence\n")
    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    contracts = [contract["name"] for contract in PYPROJECT["tool"]["importlinter"]["contracts"]]
    assert result.returncode == 1, result.stdout + result.stderr
    for name in contracts:
        assert any(name.startswith(known) for known in OFFENCES), f"no offence tries {name!r}"
        assert re.search(rf"^{re.escape(name)} BROKEN", result.stdout, re.MULTILINE), result.stdout


# ── Set-up ───────────────────────────────────────────────────────────────────────────────────────────────────────────
FAKE_PYTHON = """#!/bin/sh
# A Python that only writes down what set-up asks of it.
case "$*" in
*version_info*) exit {too_old} ;;
*ensurepip*) exit {no_venv} ;;
-V) echo "Python 3.9.0" ;;
"-m venv"*) mkdir -p .venv/bin .venv-clients/bin; cp "$0" .venv/bin/python; cp "$0" .venv-clients/bin/python ;;
esac
echo "$*" >> asked.txt
"""


class Checkout:
    """A checkout in a folder with a space in its name, with a Python of its own, in which `make` is run."""

    def __init__(self, folder: Path, **answers: int) -> None:
        (folder / "requirements").mkdir(parents=True)
        locks = [f"requirements/{name}.lock" for name in ("run", "dev", "conformance")]
        for name in ("Makefile", "pyproject.toml", *locks):
            shutil.copy(ROOT / name, folder / name)
        self.folder = folder
        self.python = folder / "python"
        self.python.write_text(FAKE_PYTHON.format(**{"too_old": 0, "no_venv": 0, **answers}))
        self.python.chmod(stat.S_IRWXU)

    def make(self, *words: str, python: str = "./python") -> subprocess.CompletedProcess[str]:
        """Run `make` here, untouched by a make that runs the tests."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        command = ["make", *words, f"PYTHON={python}"]
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False)

    def asked(self) -> str:
        """Return what set-up asked of Python since the last look."""
        log = self.folder / "asked.txt"
        text = log.read_text() if log.exists() else ""
        log.unlink(missing_ok=True)
        return text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where the checkout goes."""
    return tmp_path / "my desk"


@pytest.mark.parametrize(
    ("answers", "python", "said"),
    [
        ({}, "./missing", "There is no ./missing here."),
        ({"too_old": 1}, "./python", "needs Python 3.11 or later; ./python is Python 3.9.0"),
        ({"no_venv": 1}, "./python", "apt-get install python3-venv"),
    ],
)
def test_setup_says_what_is_missing(folder: Path, answers: dict[str, int], python: str, said: str) -> None:
    """Without a Python that can make .venv, set-up names the remedy and leaves nothing behind."""
    checkout = Checkout(folder, **answers)
    result = checkout.make("setup", python=python)
    assert result.returncode != 0
    assert said in result.stderr
    assert not (folder / ".venv").exists()


def test_setup_installs_only_what_has_a_hash(folder: Path) -> None:
    """Every package comes from a lock with its hash checked, and the project's own build fetches nothing."""
    checkout = Checkout(folder)
    assert checkout.make(".venv/dev.stamp").returncode == 0
    installs = [line for line in checkout.asked().splitlines() if " install " in line]
    assert len(installs) == 3
    assert checkout.make(".venv-clients/stamp").returncode == 0
    installs += [line for line in checkout.asked().splitlines() if " install " in line]
    for line in installs:
        assert "--no-deps" in line
        locked = "--require-hashes" in line and "--only-binary :all:" in line and ".lock" in line
        assert locked or "--no-index" in line


def test_setup_is_done_once(folder: Path) -> None:
    """A second `make setup` does nothing; a changed lock or pyproject.toml makes it install again."""
    checkout = Checkout(folder)
    checkout.make("setup")
    assert "-m venv" in checkout.asked()
    checkout.make("setup")
    assert "install" not in checkout.asked()
    for name in ("requirements/run.lock", "pyproject.toml"):
        later = (folder / ".venv/run.stamp").stat().st_mtime + 2
        os.utime(folder / name, (later, later))
        checkout.make("setup")
        assert "--require-hashes" in checkout.asked()
        os.utime(folder / ".venv/run.stamp", (later + 1, later + 1))


def test_copied_checkout_runs_its_own_code(folder: Path) -> None:
    """A copy of a checkout makes a .venv of its own: the copied one would run the code of the original."""
    Checkout(folder).make("setup")
    copy = Checkout(folder.with_name("copy"))
    shutil.copytree(folder / ".venv", copy.folder / ".venv")
    copy.make("setup")
    assert "-m venv" in copy.asked()
    assert (copy.folder / ".venv/run.stamp").read_text() == str(copy.folder.resolve())


@pytest.mark.parametrize(
    ("failing", "targets"), [("", ["check", "test", "conformance", "rehearse"]), ("test", ["check", "test"])]
)
def test_ci_is_what_a_person_types(tmp_path: Path, failing: str, targets: list[str]) -> None:
    """CI installs what is missing and calls make's own targets; the first that fails ends it."""
    programs = {
        "make": f'echo "$1" >> "$LOG"; test "$1" != "{failing}"',
        "apt-get": 'echo "$@" >> "$LOG"; test "$5" != jq',  # what only some tests use can't be had: that ends nothing
        "id": "echo 0",
        "python3": "exit 0",
        "git": "exit 0",
    }
    for name, body in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(stat.S_IRWXU)
    for name in ("bash", "dirname", "sh"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    env = {"PATH": str(tmp_path), "LOG": str(tmp_path / "log"), "CI": "true"}
    result = subprocess.run(
        [tmp_path / "bash", ROOT / ".ci/run"], env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    update, install, again, extra, *made = (tmp_path / "log").read_text().splitlines()
    assert (update, install) == ("update -qq", "install -qq --yes --no-install-recommends openssh-client")
    assert (again, extra) == ("update -qq", "install -qq --yes --no-install-recommends jq zsh fish")
    assert made == targets
    assert (result.returncode == 0) is (not failing)


def test_make_help_lists_each_target() -> None:
    """`make help` describes every target that a person may name."""
    text = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    described: list[Any] = re.findall(r"^([a-z-]+):.*## \w", text, re.MULTILINE)
    assert sorted(described) == sorted(set(phony.split()) - {"moved"})
