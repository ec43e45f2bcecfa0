"""Bad input, one way after the other: refused, held or locked out, with the reason, and nothing is opened by it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from aurora.desk import Desk
from aurora.engine.faults import RunbookError
from aurora.engine.profiles import load_profile
from aurora.errors import AuroraError
from aurora.market.mode import Mode
from aurora.market.quote import Quote
from aurora.session.run import Attempt, run_session
from aurora.session.settings import SessionRequest
from tests.session.test_loop import broken_from, run
from tests.trading import ROOT, FakeServices, ScriptedQuotes, give_models, make_profile, make_quote

BAD: dict[str, tuple[Callable[[str, datetime], Quote | None], str]] = {
    "negative": (lambda _, now: make_quote("-1", "168.01", at=now), "SPY: bid -1, ask 168.01"),
    "both negative": (lambda _, now: make_quote("-2", "-1", at=now), "SPY: bid -2 and ask -1"),
    "zero": (lambda _, now: make_quote("0", "168.01", at=now), "SPY: bid 0, ask 168.01"),
    "crossed": (lambda _, now: make_quote("168.02", "168.01", at=now), "SPY: bid 168.02 above ask 168.01"),
    "from the future": (
        lambda _, now: make_quote(at=now + timedelta(seconds=1.6)),
        "SPY: quote 1.600 s in the future, limit 1.5 s",
    ),
    "far off": (lambda _, now: make_quote("1680000", "1700000", at=now), "SPY: spread 118.34 bps, limit 50 bps"),
    "missing": (lambda *_: None, "SPY: no quote has come"),
    "one side": (lambda _, now: make_quote(None, at=now), "SPY: bid missing, ask 168.01"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_quote_holds_its_symbol(tmp_path: Path, name: str) -> None:
    """Trading rule 11: a bad quote holds its symbol for that poll, with value and limit; the other symbol trades on."""
    quote, reason = BAD[name]
    ran = run(tmp_path, broken_from(55, quote, 56), symbols=("SPY", "TSLA"), steps=5)
    held = next(line for line in ran.polls if line["due"].endswith("35:55.000000Z"))
    assert held["holds"]["SPY"][0]["reason"] == reason
    assert [decision["symbol"] for decision in held["decisions"]] == ["TSLA"]
    assert (ran.result.anomalies, ran.result.flat) == ([], True)


@pytest.mark.parametrize("price", ["NaN", "Infinity", "-Infinity"])
def test_price_that_is_no_number_locks_out(tmp_path: Path, price: str) -> None:
    """NaN raises: a source that sends what is no price is not believed any more; nothing was opened on it."""
    bad = broken_from(55, lambda _, now: make_quote(at=now, bid=price), 60)
    ran = run(tmp_path, bad, steps=50)
    assert ran.result.anomalies == [f"SPY: the bid was {price} at 14:35:55 UTC."]
    assert (ran.result.locked_out, ran.result.orders, ran.result.flat) == (True, 0, True)


def test_quote_out_of_order_is_held(tmp_path: Path) -> None:
    """A quote that is older than the one before it is held, though it is young enough by itself."""

    def swapped(symbol: str, elapsed: float, now: datetime) -> Quote:
        return make_quote(at=now - timedelta(seconds=1.0), symbol=symbol)

    def late(symbol: str, elapsed: float, now: datetime) -> Quote:
        age = 1.4 if elapsed == 2 else 0.0
        return make_quote(at=now - timedelta(seconds=age), symbol=symbol)

    ran = run(tmp_path, late, poll_sec=Decimal(1), steps=2)
    reasons = [hold["reason"] for line in ran.polls for hold in line["holds"].get("SPY", [])]
    assert reasons == ["SPY: quote 0.400 s older than the one before it, limit 0 s"]
    assert run(tmp_path / "b", swapped, steps=2).result.holds == 0


@pytest.mark.parametrize("seconds", [3, -3, 86_400, -86_400])
def test_clock_that_jumps_locks_out(tmp_path: Path, seconds: int) -> None:
    """Trading rule 11: a clock that is set, forward or back, locks the session out; it ends flat."""
    source = ScriptedQuotes()

    def jump(number: int, _: FakeServices) -> None:
        if number == 14:
            source.clock._now += timedelta(seconds=seconds)

    ran = run(tmp_path, source=source, on_poll=jump, steps=100)
    assert ran.result.flat
    if seconds != 86_400:  # a day on, the session's time is up
        assert ran.result.anomalies[0] == f"the clock jumped by {seconds:.1f} s, limit 2.0 s"


def refused(project: Path, *, quotes: str = "dummy", symbols: tuple[str, ...] = ("SPY",)) -> str:
    """Return why a session on the shipped models is refused; nothing is left of it."""
    desk = Desk(project, make_profile("sim"), {})
    with pytest.raises(AuroraError) as stop:
        run_session(desk, SessionRequest(Mode.PAPER, symbols, quotes, steps=3), Attempt("a", project / "a"))
    assert not (project / "a").exists()
    return stop.value.what


def test_model_that_is_missing_is_refused(tmp_path: Path) -> None:
    """An artifact that is not there is refused before anything is written."""
    (give_models(tmp_path) / "profiles/models/linear.json").unlink()
    assert "profiles/models/linear.json can't be read" in refused(tmp_path)


def test_model_with_another_hash_is_refused(tmp_path: Path) -> None:
    """An artifact that is not the registered one is refused, with both hashes."""
    artifact = give_models(tmp_path) / "profiles/models/linear.json"
    artifact.write_text(artifact.read_text() + " ")
    assert "is registered" in refused(tmp_path)


def test_unknown_symbol_is_refused(tmp_path: Path) -> None:
    """A symbol that the source does not have is refused by its name."""
    assert "'sp y'" in refused(give_models(tmp_path), symbols=("SPY", "sp y"))


@pytest.mark.parametrize(
    ("old", "new"), [("max_orders_per_min: 30", ""), ("daily_fee_cap_usd: 50", "daily_fee_cap_usd: 5000"),
                     ("max_gross_exposure_pct: 10", "max_gross_exposure_pct: -10")]
)  # fmt: skip
def test_profile_with_a_limit_missing_or_absurd_is_refused(tmp_path: Path, old: str, new: str) -> None:
    """A profile with a limit that is missing, negative or a hundred times as large is refused, by the limit's name."""
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    base = tmp_path / "profiles/base.yaml"
    text = base.read_text()
    assert text.count(old) == 1
    base.write_text(text.replace(old, new))
    with pytest.raises(RunbookError, match=old.split(":")[0]):
        load_profile(tmp_path, "base")
