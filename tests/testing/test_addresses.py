from __future__ import annotations

import pytest

from aurora.testing.addresses import chosen, fits


@pytest.mark.parametrize(
    ("pattern", "step", "fit"),
    [
        ("*", "eod/rollup", True),
        ("preflight/*", "preflight/caps", True),
        ("preflight/*", "preflight", False),
        ("*/caps", "preflight/caps", True),
        ("caps", "preflight/caps", False),
        ("quotes[0]", "quotes[0]", True),
        ("quotes[0]", "quotes0", False),
        ("a.b", "axb", False),
    ],
)
def test_only_a_star_stands_for_something_else(pattern: str, step: str, fit: bool) -> None:
    """A pattern is the id itself, with `*` for any text; brackets and dots mean themselves."""
    assert fits(pattern, step) is fit


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ("quotes[1]", "quotes[1]"),
        ("quotes[2]", "quotes"),
        ("preflight/caps", "preflight/caps"),
        ("preflight/disk", "preflight/*"),
        ("live", "*"),
    ],
)
def test_the_nearest_name_is_meant(step: str, name: str) -> None:
    """An exact id goes before its foreach step, that before patterns, and a longer pattern before a shorter one."""
    names = ["*", "preflight/*", "preflight/caps", "quotes", "quotes[1]"]
    assert chosen(step, names) == name
    assert chosen(step, reversed(names)) == name


def test_no_name_may_be_meant() -> None:
    """A step that nothing names gets nothing."""
    assert chosen("live", ["preflight", "liv"]) is None
