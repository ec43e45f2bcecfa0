"""How far this machine's clock is from clocks outside it: NTP servers, and what chrony says it keeps."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

TIMEOUT_S = 3.0
_PORT = 123
_UNSYNCHRONISED = 3
"""NTP's leap indicator of a server that does not know the time itself (RFC 5905, 7.3)."""
_WORST_STRATUM = 15
_OFFSET, _LEAP = 4, 13
"""Fields of `chronyc -c tracking`: the system clock's offset in seconds, and the leap status."""


@dataclass(frozen=True)
class Drift:
    """The machine's clock against outside ones.

    known:    at least one answered. drift_s: the worst of them, in seconds, without sign; null when none answered.
    answered: who did, each with its offset. silent: who did not, and why.
    """

    known: bool
    drift_s: Decimal | None
    answered: list[str]
    silent: list[str]


def read_drift(servers: Sequence[str], *, timeout_s: float = TIMEOUT_S) -> Drift:
    """Ask each of `servers` (`host` or `host:port`), and chrony if it is here."""
    offsets: list[Decimal] = []
    answered, silent = [], []
    for name in (*servers, "chrony"):
        found = _ask_chrony(timeout_s) if name == "chrony" else _ask(name, timeout_s)
        if isinstance(found, str):
            silent.append(f"{name}: {found}")
        else:
            offsets.append(abs(found))
            answered.append(f"{name}: {found:+.6f} s")
    return Drift(bool(offsets), max(offsets, default=None), answered, silent)


def _ask(server: str, timeout_s: float) -> Decimal | str:
    """Return a server's time minus ours in seconds, or why it is not known."""
    import ntplib  # noqa: PLC0415 - lint imports the steps, only a worker asks

    host, _, port = server.partition(":")
    try:
        answer = ntplib.NTPClient().request(host, version=4, port=int(port or _PORT), timeout=timeout_s)
    except ntplib.NTPException as error:
        return f"no answer ({str(error).rstrip('.')})"
    except (OSError, ValueError) as error:
        return f"can't be asked ({error})"
    if answer.leap == _UNSYNCHRONISED or not 0 < answer.stratum <= _WORST_STRATUM:
        return "it says that it does not know the time itself"
    return Decimal(str(answer.offset))


def _ask_chrony(timeout_s: float) -> Decimal | str:
    if shutil.which("chronyc") is None:
        return "is not here"
    try:
        done = subprocess.run(
            ["chronyc", "-c", "tracking"], capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"can't be asked ({error})"
    fields = done.stdout.strip().split(",")
    if done.returncode != 0 or len(fields) <= _LEAP:
        return f"no answer ({(done.stdout + done.stderr).strip()[:100] or 'nothing'})"
    if fields[_LEAP] != "Normal":
        return f"it keeps no time: {fields[_LEAP]}"
    try:
        offset = Decimal(fields[_OFFSET])
    except InvalidOperation:
        return f"its offset was {fields[_OFFSET]!r}"
    return offset if offset.is_finite() else f"its offset was {fields[_OFFSET]!r}"
