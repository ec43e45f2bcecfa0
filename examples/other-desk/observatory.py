"""The observatory: what steps ask of it, a simulated one, and the factory that builds it for a step."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from aurora.engine.context import Context


@dataclass(frozen=True)
class Weather:
    """What the weather station says."""

    humidity_pct: Decimal
    wind_kmh: Decimal
    cloud_pct: Decimal


@dataclass(frozen=True)
class Shutter:
    """Where the dome's shutter stands."""

    is_open: bool


@dataclass(frozen=True)
class Frame:
    """One picture: where its file is, and how many stars were found on it."""

    target: str
    file: str
    stars: int


class Observatory(Protocol):
    """What steps may ask of an observatory."""

    def read_weather(self) -> Weather:
        """Ask the weather station. Raises ConnectionError."""

    def move_shutter(self, *, is_open: bool) -> Shutter:
        """Open or close the dome; it takes a minute."""

    def read_shutter(self) -> Shutter:
        """Ask the dome's switches."""

    def expose(self, target: str, seconds: int, folder: Path) -> Frame:
        """Point at a target and take a picture into `folder`."""


class SimulatedObservatory:
    """A clear night, and a dome whose shutter is a word in a file."""

    def __init__(self, root: Path) -> None:
        self.shutter = root / "shutter.txt"

    def read_weather(self) -> Weather:
        """Report a clear night."""
        return Weather(Decimal("41.5"), Decimal("6"), Decimal("10"))

    def move_shutter(self, *, is_open: bool) -> Shutter:
        """Write where the shutter stands."""
        self.shutter.write_text("open" if is_open else "closed")
        return self.read_shutter()

    def read_shutter(self) -> Shutter:
        """Read where the shutter stands; a new dome is closed."""
        return Shutter(self.shutter.exists() and self.shutter.read_text() == "open")

    def expose(self, target: str, seconds: int, folder: Path) -> Frame:
        """Write a picture of as many stars as seconds."""
        if not self.read_shutter().is_open:
            raise RuntimeError("the shutter is closed")
        file = folder / f"{target}.txt"
        file.write_text("*" * seconds)
        return Frame(target, str(file), seconds)


def services(context: Context[Any]) -> Observatory:
    """Build the observatory of the profile; `pyproject.toml` names this function."""
    if context.profile.venue != "simulated":
        raise LookupError(f"No driver for the venue {context.profile.venue} yet.")
    return SimulatedObservatory(context.project)
