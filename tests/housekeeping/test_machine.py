from __future__ import annotations

import platform
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aurora.errors import OperatorError
from aurora.housekeeping.machine import (
    check_secrets,
    probe_gateway,
    probe_port,
    read_clock_sync,
    read_code,
    read_disk,
    read_environment,
    read_time_zone,
)


def git(folder: Path, *words: str) -> None:
    """Run git in `folder` as nobody in particular."""
    name = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *name, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with one commit."""
    git(tmp_path, "init")
    (tmp_path / "a.txt").write_text("hello")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    return tmp_path


@pytest.mark.parametrize(("zone", "utc", "offset_s"), [("UTC", True, 0), ("XST5", False, -18_000)])
def test_time_zone_is_told(monkeypatch: pytest.MonkeyPatch, zone: str, utc: bool, offset_s: int) -> None:
    """The machine's zone is told with its offset; only offset zero is UTC."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        found = read_time_zone()
    finally:
        monkeypatch.undo()
        time.tzset()
    assert (found.utc, found.offset_s) == (utc, offset_s)


def test_environment_tells_what_is_missing() -> None:
    """A variable that is not set, or set to nothing, is missing."""
    found = read_environment(["B", "A", "C", "A"], {"A": "1", "B": " ", "X": "1"})
    assert (found.present, found.missing) == (["A"], ["B", "C"])


def test_disk_is_that_of_the_nearest_folder(tmp_path: Path) -> None:
    """Where the folder does not exist yet, the nearest one above it is looked at."""
    found = read_disk(tmp_path / "runs" / "not" / "yet")
    assert found.free_mb > 0
    assert found.path == tmp_path.name


def test_code_is_a_commit(repository: Path) -> None:
    """A clean tree is its commit; an untracked or changed file makes it dirty, by name."""
    clean = read_code(repository)
    assert (len(clean.commit), clean.branch, clean.dirty, clean.changed) == (40, "main", False, [])
    (repository / "b.txt").touch()
    (repository / "a.txt").write_text("bye")
    dirty = read_code(repository)
    assert (dirty.commit, dirty.dirty, sorted(dirty.changed)) == (clean.commit, True, ["a.txt", "b.txt"])


def test_code_without_git_is_dirty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no repository, or no git, nobody knows what runs: no commit, and dirty."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert (read_code(tmp_path).commit, read_code(tmp_path).dirty) == ("", True)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (read_code(tmp_path).commit, read_code(tmp_path).dirty) == ("", True)


def test_secret_in_a_tracked_file_is_found(repository: Path) -> None:
    """A tracked file that holds a secret's value is named; the value is not."""
    (repository / "deep").mkdir()
    (repository / "deep" / "notes.md").write_text("url: https://ntfy.example/hidden-topic\n")
    git(repository, "add", ".")
    found = check_secrets(repository, ["NTFY_URL"], {"NTFY_URL": "https://ntfy.example/hidden-topic"})
    assert found.problems == ["deep/notes.md holds the value of NTFY_URL"]
    assert found.files_searched == 2


def test_untracked_file_is_no_leak(repository: Path) -> None:
    """What git does not track is not shared with anybody."""
    (repository / "notes.md").write_text("hidden-topic")
    assert check_secrets(repository, ["NTFY_URL"], {"NTFY_URL": "hidden-topic"}).problems == []


def test_tracked_env_file_is_a_problem(repository: Path) -> None:
    """A `.env` under git is a problem whatever it holds."""
    (repository / ".env").write_text("A=1")
    (repository / ".env").chmod(0o600)
    git(repository, "add", "-f", ".env")
    assert check_secrets(repository, [], {}).problems == ["git tracks .env"]


@pytest.mark.parametrize(("mode", "problems"), [(0o600, 0), (0o400, 0), (0o640, 1), (0o644, 1)])
def test_env_file_is_nobody_elses(tmp_path: Path, mode: int, problems: int) -> None:
    """Engine rule 24: `.env` is readable by its owner only."""
    (tmp_path / ".env").touch()
    (tmp_path / ".env").chmod(mode)
    found = check_secrets(tmp_path, [], {}).problems
    assert len(found) == problems
    assert all("chmod 600" in problem for problem in found)


def test_short_secret_is_told(repository: Path) -> None:
    """Engine rule 24: values under eight characters are no secrets: they would be found everywhere."""
    assert check_secrets(repository, ["PIN"], {"PIN": "hello"}).problems == ["PIN is too short to be a secret"]
    assert check_secrets(repository, ["PIN"], {}).problems == []


def test_port_is_probed() -> None:
    """A port that listens is open; one that does not says why."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert probe_port("127.0.0.1", port).open
    closed = probe_port("127.0.0.1", port)
    assert (closed.open, closed.address) == (False, f"127.0.0.1:{port}")
    assert closed.reason


def test_gateway_is_where_the_environment_says() -> None:
    """IB_HOST and IB_PORT say where TWS is, unless the command does; what is no port is closed, and says so."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert probe_gateway({"IB_HOST": "127.0.0.1", "IB_PORT": f"{port}"}).open
        assert probe_gateway({"IB_PORT": f"{port}"}).open
        assert probe_gateway({"IB_HOST": "nowhere.invalid", "IB_PORT": "1"}, "127.0.0.1", port).open
    for text in ("", "x", "0", "70000", "-1", "\u0661"):
        found = probe_gateway({"IB_PORT": text})
        assert not found.open
        assert "IB_PORT was" in found.reason


def test_port_is_a_port() -> None:
    """A number that is no port is refused."""
    with pytest.raises(OperatorError, match="ports are 1 to 65535"):
        probe_port("127.0.0.1", 0)


def test_clock_sync_says_what_it_knows() -> None:
    """The kernel's answer is yes, no with a reason, or not known with a reason."""
    found = read_clock_sync()
    assert found.known or not found.synchronised
    assert found.synchronised or found.reason
    assert found.estimated_error_s is None or found.estimated_error_s >= 0


def test_clock_sync_elsewhere_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a system that can't be asked, nothing is claimed."""
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    found = read_clock_sync()
    assert (found.known, found.synchronised) == (False, False)
    assert "Darwin" in found.reason
