"""A small project to rehearse, made of what a test says."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from aurora.testing import Rehearsal
from aurora.testing.plugin import steps_given_back

SHOP = '''
    """Steps of a shop."""

    from dataclasses import dataclass, field
    from decimal import Decimal

    from aurora.engine.context import Context
    from aurora.engine.registry import Verdict, step

    CALLED = []

    @dataclass(frozen=True)
    class Till:
        cash: Decimal
        notes: list[str]
        open: bool
        clerk: str = "Ada"

    @dataclass(frozen=True)
    class Sale:
        number: int

    @step(repeat="safe")
    def count(till: int = 1) -> Till:
        CALLED.append(till)
        return Till(Decimal(till), [], True)

    @step(repeat="safe")
    def ring(context: Context) -> None:
        context.progress(1, 2, "half")
        context.log("ding")
        (context.artifacts / "bell.txt").write_text("ding")

    def was_it_sold(context: Context, item: str) -> Verdict:
        return Verdict("done", Sale(7), item)

    @step(verify=was_it_sold)
    def sell(context: Context, item: str) -> Sale:
        raise ConnectionError(item)

    @step()
    def deliver(item: str = "bread") -> Sale:
        return Sale(1)

    @step(effects=["orders.reduce"])
    def order() -> Sale:
        return Sale(1)

    @step(repeat="safe")
    def ask(context: Context) -> Sale:
        return Sale(context.services)

    @step(repeat="safe")
    def lie() -> Sale:
        return Till(Decimal(1), [], True)
'''


class Shop:
    """A project with the steps above, a profile each for a simulated and a real venue, and a test's runbooks."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root, folder
        self.write("steps/shop.py", SHOP)
        self.write("profiles/base.yaml", "venue: simulated\nlimit: 5\n")
        self.write("profiles/street.yaml", "extends: base\nvenue: street\n")
        self.rehearsal = Rehearsal(root, folder)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))

    def book(self, text: str, name: str = "day") -> None:
        """Write a runbook; `text` is what follows its name and its parameter `profile`."""
        head = f"runbook: {name}\ntitle: A day\nparams:\n  profile: {{type: string, default: base}}\n"
        self.write(f"runbooks/{name}.yaml", head + textwrap.dedent(text))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop of the test's own."""
    with steps_given_back():
        yield Shop(tmp_path / "shop", tmp_path / "records")
