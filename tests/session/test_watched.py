from __future__ import annotations

from datetime import timedelta

from aurora.session.watched import WatchedQuotes
from tests.trading import START, Script, ScriptedQuotes, make_quote


def test_what_changed_is_remembered_once() -> None:
    """Each new quote is kept with the instant of the first look at it; a look that sees nothing new keeps nothing."""
    quotes = [make_quote(at=START), make_quote("168.50", "168.51", at=START + timedelta(seconds=1))]
    script: Script = lambda symbol, elapsed, _: quotes[elapsed >= 1]  # noqa: E731 - one line says it
    source = WatchedQuotes(ScriptedQuotes(script))
    source.subscribe(["SPY"])
    for _ in range(5):
        source.poll()
        source.clock.sleep(0.5)
    assert source.drain() == [(START, "SPY", quotes[0]), (START + timedelta(seconds=1), "SPY", quotes[1])]
    assert source.drain() == []


def test_lost_quote_is_a_change() -> None:
    """A quote that goes away is seen as that."""
    script: Script = lambda symbol, elapsed, now: None if elapsed else make_quote(at=START)  # noqa: E731 - the same
    source = WatchedQuotes(ScriptedQuotes(script))
    source.subscribe(["SPY"])
    source.poll()
    source.drain()
    source.clock.sleep(1)
    assert source.poll() == {"SPY": None}
    assert source.drain() == [(START + timedelta(seconds=1), "SPY", None)]


def test_it_is_the_source_that_it_watches() -> None:
    """Name, clock, end and closing are the source's own."""
    inner = ScriptedQuotes(ends_s=3)
    source = WatchedQuotes(inner)
    source.clock.sleep(3)
    source.close()
    assert (source.name, source.realtime, source.clock, source.exhausted) == ("scripted", False, inner.clock, True)
    assert inner.closed
