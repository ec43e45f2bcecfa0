from __future__ import annotations

from pathlib import Path

import pytest

from aurora.errors import UsageError, VenueRefusal
from aurora.quotes.dummy import DummyQuotes
from aurora.quotes.replay import ReplayQuotes
from aurora.quotes.sources import SOURCES, open_quotes
from tests.trading import write_lean


def test_each_kind_is_opened_by_its_name(tmp_path: Path) -> None:
    """The text before the colon says which source it is."""
    assert isinstance(open_quotes("dummy", root=tmp_path), DummyQuotes)
    assert open_quotes("dummy:seed=11", root=tmp_path).name == "dummy:seed=11"
    write_lean(tmp_path / "data", seconds=10)
    source = open_quotes("replay:data", root=tmp_path)
    assert isinstance(source, ReplayQuotes)
    assert source.name == "replay:data"


def test_seed_of_the_caller_holds_unless_the_text_says_another(tmp_path: Path) -> None:
    """A caller's seed is a default; the seed in the text wins."""
    assert open_quotes("dummy", root=tmp_path, seed=3).name == "dummy:seed=3"
    assert open_quotes("dummy:seed=4", root=tmp_path, seed=3).name == "dummy:seed=4"


def test_ibkr_is_refused_until_it_is_built(tmp_path: Path) -> None:
    """Quotes from IBKR come from an account: without one they are refused, never replaced by others."""
    with pytest.raises(VenueRefusal, match="come from an account"):
        open_quotes("ibkr", root=tmp_path)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("", "no quote source ''"),
        ("dumy", "did you mean 'dummy'"),
        ("dummy:seed", "is not key=value"),
        ("dummy:seed=", "is not key=value"),
        ("dummy:seed=x", "whole number"),
        ("dummy:seed=1,seed=2", "twice"),
        ("dummy:sed=1", "did you mean 'seed'"),
        ("dummy:gaps_per_hour=-1", "at least 0"),
        ("dummy:gaps_per_hour=often", "gaps_per_hour was 'often'"),
        ("dummy:gaps_per_hour=nan", "at least 0"),
        ("dummy:day=2026-01-04", "a Sunday"),
        ("dummy:day=monday", "write it like 2013-10-07"),
        ("dummy:start=late", "write it like 10:30"),
        ("replay:", "needs a recording"),
        ("replay:nowhere", "no recording at nowhere"),
    ],
)
def test_text_that_names_no_source_is_refused(tmp_path: Path, spec: str, said: str) -> None:
    """What can't be read as a quote source is a usage error that says what was wrong."""
    with pytest.raises(UsageError) as caught:
        open_quotes(spec, root=tmp_path)
    assert said in caught.value.diagnostics()


def test_the_table_is_what_the_message_lists(tmp_path: Path) -> None:
    """An unknown source's message lists every source that there is."""
    with pytest.raises(UsageError) as caught:
        open_quotes("tape", root=tmp_path)
    assert all(kind in caught.value.todo for kind in SOURCES)
