from __future__ import annotations

from datetime import timedelta

from aurora.risk.tripwires import Hold, HoldKind
from aurora.session.poll import Poll
from tests.trading import START, make_quote


def test_poll_is_told_with_what_it_saw_and_why() -> None:
    """A poll's line holds when it was due and made, its quotes, each HOLD with its reason, and its notes."""
    poll = Poll(3, START, START + timedelta(milliseconds=4), quotes={"SPY": make_quote(), "TSLA": None})
    poll.holds["TSLA"] = (Hold(HoldKind.MISSED, "TSLA: no quote has come"),)
    poll.note("SPY", "warming up")
    poll.note("SPY", "models are off")
    line = poll.as_json()
    assert (line["n"], line["step"]) == (3, None)
    assert (line["due"], line["at"]) == ("2026-01-05T14:35:00.000000Z", "2026-01-05T14:35:00.004000Z")
    assert line["quotes"]["SPY"]["bid"] == "168.00"
    assert line["quotes"]["TSLA"] is None
    assert line["holds"] == {"TSLA": [{"kind": "missed", "reason": "TSLA: no quote has come"}]}
    assert line["notes"] == {"SPY": ["warming up", "models are off"]}


def test_features_are_told_of_each_symbol_that_was_asked_about() -> None:
    """Six places; what is no finite number is null, and so is an answer that never came: both count as missing."""
    poll = Poll(3, START, START, asked=["SPY", "TSLA"])
    poll.features["SPY"] = {"fast": 1.23456789, "odd": float("nan"), "wide": float("inf")}
    assert poll.as_json()["features"] == {"SPY": {"fast": 1.234568, "odd": None, "wide": None}, "TSLA": None}
