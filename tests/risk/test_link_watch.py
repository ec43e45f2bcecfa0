from __future__ import annotations

from decimal import Decimal

from aurora.market.link import WELL, LinkState
from aurora.risk.link_watch import LinkWatch

DOWN = LinkState(down="market data farm usfarm")


def test_line_down_for_its_limit_is_an_anomaly() -> None:
    """Trading rule 11: a link or farm that is down for 15 s is an anomaly, with what, how long and the limit."""
    watch = LinkWatch(Decimal(15))
    assert watch.check({"ibkr": DOWN}, 100) == []
    assert watch.check({"ibkr": DOWN}, 114.9) == []
    assert watch.check({"ibkr": DOWN}, 115) == ["ibkr: market data farm usfarm is down for 15.0 s, limit 15 s"]


def test_line_that_comes_back_begins_anew() -> None:
    """Trading rule 11: the 15 s are of one outage, and of one line."""
    watch = LinkWatch(Decimal(15))
    watch.check({"ibkr": DOWN, "quotes": WELL}, 0)
    watch.check({"ibkr": WELL, "quotes": DOWN}, 10)
    assert watch.check({"ibkr": DOWN, "quotes": WELL}, 16) == []
    assert watch.check({"ibkr": DOWN, "quotes": WELL}, 31) != []


def test_delayed_data_is_an_anomaly_at_once() -> None:
    """Trading rule 11: delayed data is an anomaly; nothing waits for a second look."""
    assert LinkWatch(Decimal(15)).check({"quotes": LinkState(delayed="SPY")}, 0) == ["delayed data: quotes: SPY"]
