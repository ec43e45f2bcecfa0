from __future__ import annotations

from aurora.market.link import WELL, LinkState, link_state_of


class Line:
    """A part of Aurora that has a line."""

    def link_state(self) -> LinkState:
        return LinkState(down="the gateway")


def test_part_without_a_line_is_well() -> None:
    """A broker or a source that has no line can't lose it; one that has tells of it."""
    assert link_state_of(object()) == WELL
    assert link_state_of(Line()).down == "the gateway"
