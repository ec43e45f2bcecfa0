"""A venue that is away for a moment: nothing is decided meanwhile; what happened is learned before the next order."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aurora.brokers.simulated import SimulatedBroker
from aurora.errors import VenueAway, VenueRefusal
from aurora.market.link import LinkState
from aurora.market.order import OrderState, OrderStatus
from aurora.quotes.sources import open_quotes
from tests.session.test_judging import Linked
from tests.session.test_loop import Ran, Wants, run
from tests.trading import FakeServices, make_quote

READS = ("positions", "cash", "open_orders", "executions", "order_state")


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Linked:
    """A market and an account behind one line: while it is down, the account's word can't be had."""
    linked = Linked(lambda symbol, _, now: make_quote(symbol=symbol, at=now, sizes=(1000, 5)))

    def guarded(read: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*given: Any) -> Any:
            if linked.state.down:
                raise VenueAway(f"The venue has not told all of the account: {linked.state.down}.")
            return read(*given)

        return ask

    for name in READS:
        monkeypatch.setattr(SimulatedBroker, name, guarded(getattr(SimulatedBroker, name)))
    return linked


def cut(source: Linked, first: int, last: int) -> Callable[[int, FakeServices], None]:
    """Take the line away after poll `first`, and give it back after poll `last`."""

    def on_poll(number: int, _: FakeServices) -> None:
        source.state = LinkState(down="the connection was lost") if first <= number < last else LinkState()

    return on_poll


def polls(ran: Ran, what: str) -> list[int]:
    """Return the numbers of the polls that have something of `what`."""
    return [line["n"] for line in ran.polls if line[what]]


def test_line_that_is_back_soon_holds_and_the_session_goes_on(tmp_path: Path, source: Linked) -> None:
    """Rules 8, 11: within 15 s of a lost line every symbol is held, nothing is sent, and then the session goes on."""
    ran = run(tmp_path, source=source, model=Wants("0.01", "0.001"), on_poll=cut(source, 14, 16), steps=30)
    assert (ran.result.anomalies, ran.result.flat, ran.result.steps) == ([], True, 30)
    assert polls(ran, "holds") == [15, 16]
    assert ran.polls[14]["holds"] == {"SPY": [{"kind": "line down", "reason": "the connection was lost"}]}
    assert [ran.polls[n]["positions"] for n in (14, 15)] == [None, None]
    sent = polls(ran, "decisions")
    assert {15, 16}.isdisjoint(sent)
    assert max(sent) > 17


def test_held_polls_of_a_short_outage_do_not_add_up(tmp_path: Path, source: Linked) -> None:
    """Rule 11: how long a line may be down is 15 s, however many fast polls fall into them."""
    ran = run(tmp_path, source=source, on_poll=cut(source, 60, 74), steps=100, poll_sec=Decimal(1))
    assert ran.result.anomalies == []
    assert len(polls(ran, "holds")) == 14


def test_line_that_stays_away_locks_out(tmp_path: Path, source: Linked) -> None:
    """Rule 11: 15 s of it are an anomaly; what is held then is not said to be flat, because nobody said so."""
    ran = run(tmp_path, source=source, on_poll=cut(source, 14, 10**6), steps=30)
    assert ran.result.anomalies[0] == "down for 15.0 s, limit 15 s: the connection was lost"
    assert not ran.result.flat
    assert "the venue did not say" in ran.result.left


def away_once(monkeypatch: pytest.MonkeyPatch, read: str, during: str) -> list[str]:
    """Lose the line for one `read` that is made in the course of a function named `during`; return where it was."""
    original, lost = getattr(SimulatedBroker, read), list[str]()

    def ask(*given: Any) -> Any:
        if not lost and any(frame.name == during for frame in traceback.extract_stack()):
            lost.append(during)
            raise VenueAway("The venue has not told all of the account.")
        return original(*given)

    monkeypatch.setattr(SimulatedBroker, read, ask)
    return lost


@pytest.mark.parametrize(("during", "said"), [("size", "not decided"), ("route", "not sent")])
def test_line_that_goes_in_the_midst_of_a_poll_sends_nothing(
    tmp_path: Path, source: Linked, monkeypatch: pytest.MonkeyPatch, during: str, said: str
) -> None:
    """Rule 8: what can't be known any more is neither decided nor sent: a note, no doubt; the next bar decides anew."""
    lost = away_once(monkeypatch, "positions", during)
    ran = run(tmp_path, source=source, steps=30)
    assert lost == [during]
    assert (ran.result.anomalies, ran.result.flat) == ([], True)
    assert f"{said}: The venue has not told all of the account." in ran.notes()
    assert ran.result.orders > 0


def test_order_of_which_nobody_knows_locks_out(tmp_path: Path, source: Linked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule 11: UNKNOWN is an anomaly, and counts as on its way until there is evidence."""
    reads = SimulatedBroker.order_state

    def order_state(self: SimulatedBroker, ref: str) -> OrderState | None:
        state = reads(self, ref)
        assert state is not None
        return OrderState(state.order, OrderStatus.UNKNOWN, 0, "202: told by a notice only")

    monkeypatch.setattr(SimulatedBroker, "order_state", order_state)
    ran = run(tmp_path, source=source, steps=30)
    (first, *_) = ran.result.anomalies
    assert first.startswith("what became of ")
    assert first.endswith(" is not known: 202: told by a notice only")
    assert len(ran.result.anomalies) == len(set(ran.result.anomalies))  # once of each order


def test_replay_of_a_record_has_its_line(tmp_path: Path, source: Linked) -> None:
    """A recorded session replays with the holds that its line brought it, and the anomaly that it came to."""
    first = run(tmp_path / "a", source=source, on_poll=cut(source, 14, 16), steps=25)
    again = run(tmp_path / "b", source=open_quotes("replay:a/records/session.jsonl", root=tmp_path), steps=25)  # type: ignore[arg-type]
    assert polls(again, "holds") == polls(first, "holds") == [15, 16]
    assert [line["decisions"] for line in again.polls] == [line["decisions"] for line in first.polls]


def test_refusal_that_is_no_lost_line_locks_out_at_once(
    tmp_path: Path, source: Linked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fail closed: a venue that refuses its word for any other reason is an anomaly at once."""

    def executions(_: SimulatedBroker) -> Any:
        raise VenueRefusal("The account holds 5 BONDS.")

    monkeypatch.setattr(SimulatedBroker, "executions", executions)
    ran = run(tmp_path, source=source, steps=30)
    assert ran.result.anomalies[0] == "The account holds 5 BONDS."
