from __future__ import annotations

from decimal import Decimal

from aurora.market.link import WELL, LinkState
from aurora.risk.link_watch import LinkWatch

DOWN = LinkState(down="market data farm usfarm")


def test_line_down_for_its_limit_is_an_anomaly() -> None:
    """Trading rule 11: a link or farm that is down for 15 s is an anomaly, with what, how long and the limit."""
    watch = LinkWatch(Decimal(15))
    assert watch.check(DOWN, 100) == []
    assert watch.check(DOWN, 114.9) == []
    assert watch.check(DOWN, 115) == ["down for 15.0 s, limit 15 s: market data farm usfarm"]


def test_line_that_comes_back_begins_anew() -> None:
    """Trading rule 11: the 15 s are of one outage."""
    watch = LinkWatch(Decimal(15))
    watch.check(DOWN, 0)
    watch.check(WELL, 10)
    assert watch.check(DOWN, 16) == []
    assert watch.check(DOWN, 31) != []


def test_outage_that_says_something_else_is_the_same_one() -> None:
    """Trading rule 11: a line that is connecting is no less down than one that was lost."""
    watch = LinkWatch(Decimal(15))
    watch.check(DOWN, 0)
    assert watch.check(LinkState(down="connecting"), 15) != []


def test_delayed_data_is_an_anomaly_at_once() -> None:
    """Trading rule 11: delayed data is an anomaly; nothing waits for a second look."""
    assert LinkWatch(Decimal(15)).check(LinkState(delayed="SPY"), 0) == ["delayed data: SPY"]
