"""What the machine must be for a trading day: its clock, disk, environment, and the code that will run."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib import metadata
from pathlib import Path

from aurora import __version__
from aurora.errors import OperatorError

MEGABYTE = 1_000_000
SHORTEST_SECRET = 8
LARGEST_SEARCHED = 5 * MEGABYTE
GIT_TIMEOUT_S = 20
LOCK = "requirements/run.lock"


@dataclass(frozen=True)
class TimeZone:
    """The machine's local time zone. utc: its offset is zero now. Aurora's own times are UTC whatever it says."""

    utc: bool
    name: str
    offset_s: int


@dataclass(frozen=True)
class ClockSync:
    """What the kernel says of the clock's discipline. known: it could be asked."""

    known: bool
    synchronised: bool
    estimated_error_s: Decimal | None
    reason: str


@dataclass(frozen=True)
class Variables:
    """Which environment variables are set and not empty."""

    present: list[str]
    missing: list[str]


@dataclass(frozen=True)
class Disk:
    """Free space where records are written, in megabytes (10^6 bytes)."""

    free_mb: int
    path: str


@dataclass(frozen=True)
class Code:
    """The code that will run. commit: empty when there is no git or no commit. dirty: not exactly that commit.

    tree: a digest of what is not committed, empty when nothing is. lock: of the locked dependencies' file, empty when
    there is none. installed: of the distributions that are installed, by name and version.
    """

    commit: str
    branch: str
    dirty: bool
    changed: list[str]
    aurora: str
    python: str
    tree: str
    lock: str
    installed: str


@dataclass(frozen=True)
class SecretsCheck:
    """What is wrong with how secrets are kept; empty is good. Values are never in it."""

    problems: list[str]
    files_searched: int


@dataclass(frozen=True)
class Port:
    """Whether something listens at an address."""

    open: bool
    address: str
    reason: str


def read_time_zone() -> TimeZone:
    """Return the machine's local time zone."""
    local = time.localtime()
    return TimeZone(local.tm_gmtoff == 0, local.tm_zone, local.tm_gmtoff)


def read_environment(names: Collection[str], environment: Mapping[str, str]) -> Variables:
    """Return which of `names` are set in `environment`, and which are missing or empty."""
    present = sorted({name for name in names if environment.get(name, "").strip()})
    return Variables(present, sorted(set(names) - set(present)))


def read_disk(folder: Path) -> Disk:
    """Return the free space at `folder`, or at the nearest folder above it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return Disk(shutil.disk_usage(folder).free // MEGABYTE, folder.name)


def read_code(project: Path) -> Code:
    """Return commit, branch and changes of the project's working tree; untracked files count as changes."""
    commit = _git(project, "rev-parse", "HEAD").strip()
    branch = _git(project, "rev-parse", "--abbrev-ref", "HEAD").strip() if commit else ""
    changed = [line[3:] for line in _git(project, "status", "--porcelain").splitlines()]
    dirty = not commit or bool(changed)
    lock = project / LOCK
    return Code(
        commit,
        branch,
        dirty,
        changed[:20],
        __version__,
        platform.python_version(),
        _tree_of(project) if dirty else "",
        hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else "",
        _installed(),
    )


def _tree_of(project: Path) -> str:
    """Return a digest of what differs from the commit: the changes, and each file that git does not know."""
    digest = hashlib.sha256(_git(project, "diff", "HEAD", "--binary").encode())
    for name in sorted(_git(project, "ls-files", "--others", "--exclude-standard", "-z").split("\0")):
        path = project / name
        if name and path.is_file() and not path.is_symlink():
            digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _installed() -> str:
    names = sorted({f"{each.metadata['Name']}=={each.version}".lower() for each in metadata.distributions()})
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def check_secrets(project: Path, names: Collection[str], environment: Mapping[str, str]) -> SecretsCheck:
    """Look for secrets in files that git tracks, and at who may read `.env`.

    names: the profile's secrets. A value of fewer than eight characters can't be told from other text: not searched.
    """
    problems = []
    tracked = [name for name in _git(project, "ls-files", "-z").split("\0") if name]
    problems += [f"git tracks {name}" for name in tracked if Path(name).name == ".env"]
    env = project / ".env"
    if env.exists() and stat.S_IMODE(env.stat().st_mode) & 0o077:
        problems.append(f".env is readable by others (mode {stat.S_IMODE(env.stat().st_mode):04o}); chmod 600 .env")
    values = {name: environment.get(name, "").encode() for name in names}
    wanted = {name: value for name, value in values.items() if len(value) >= SHORTEST_SECRET}
    problems += [
        f"{name} is too short to be a secret" for name, value in values.items() if len(value) > 0 and name not in wanted
    ]
    for name in tracked if wanted else ():
        path = project / name
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST_SEARCHED:
            content = path.read_bytes()
            problems += [f"{name} holds the value of {secret}" for secret, value in wanted.items() if value in content]
    return SecretsCheck(problems, len(tracked) if wanted else 0)


def probe_port(host: str, port: int, timeout_s: float = 2.0) -> Port:
    """Return whether a connection to `host` and `port` is accepted."""
    if not 0 < port < 65536:
        raise OperatorError(f"The port was {port}; ports are 1 to 65535.")
    address = f"{host}:{port}"
    try:
        with socket.create_connection((host, port), timeout_s):
            return Port(True, address, "")
    except OSError as error:
        return Port(False, address, error.strerror or str(error) or type(error).__name__)


def probe_gateway(environment: Mapping[str, str], host: str = "", port: int = 0) -> Port:
    """Return whether TWS or IB Gateway answers at `host` and `port`; at IB_HOST and IB_PORT where they say nothing."""
    host = host or environment.get("IB_HOST", "").strip() or "127.0.0.1"
    said = str(port or environment.get("IB_PORT", "").strip())
    if not (said.isascii() and said.isdigit() and 0 < int(said) < 65536):
        return Port(False, f"{host}:{said}", f"IB_PORT was {said!r}; it is a port, 1 to 65535: set it, or name --port")
    return probe_port(host, int(said))


def read_clock_sync() -> ClockSync:
    """Return what the kernel knows of the clock's discipline (adjtimex(2) on Linux; nothing elsewhere)."""
    if not sys.platform.startswith("linux"):
        return ClockSync(False, False, None, f"{platform.system()} is not asked; look at its date settings")
    kernel = _Timex()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(kernel))
    if state < 0:
        return ClockSync(False, False, None, os.strerror(ctypes.get_errno()))
    synchronised = state != _TIME_ERROR and not kernel.status & _STA_UNSYNC
    error_s = Decimal(kernel.esterror) / 1_000_000
    return ClockSync(True, synchronised, error_s, "" if synchronised else "no time service disciplines this clock")


_TIME_ERROR = 5
_STA_UNSYNC = 0x0040


class _Timex(ctypes.Structure):
    """`struct timex` of adjtimex(2); `modes` zero only reads."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("rest", ctypes.c_long * 24),  # time, tick and PPS figures: not read here
    )


def _git(project: Path, *arguments: str) -> str:
    """Return git's answer, or "" when there is no git or no repository."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=project, capture_output=True, text=True, timeout=GIT_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
