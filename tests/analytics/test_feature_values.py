from __future__ import annotations

import contextlib
import json
import math
from bisect import bisect_left
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.analytics.drift import FeatureReference
from aurora.analytics.feature_values import Added, FeatureValues
from aurora.analytics.quantiles import nearest_rank

VALUE = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.5]), st.floats(-1e6, 1e6).map(lambda value: round(value, 6)))


def write(path: Path, *polls: object, tail: str = "") -> Path:
    """Write a record of polls with these features (`...`: a poll without the key)."""
    lines: list[dict[str, object]] = [{"type": "session.opened"}]
    lines += [{"type": "poll"} if features is ... else {"type": "poll", "features": features} for features in polls]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + tail)
    return path


@settings(max_examples=60, deadline=None)
@given(st.lists(VALUE, min_size=1, max_size=60), st.lists(VALUE, max_size=60))
def test_bins_are_those_of_plain_python(before: list[float | None], now: list[float | None]) -> None:
    """Deciles by nearest rank, counts by half-open bins and the outside share are what a plain computation says."""
    old = [value for value in before if value is not None]
    if not old:
        return
    with TemporaryDirectory() as folder, FeatureValues() as fitted, FeatureValues() as recent:
        fitted.add(write(Path(folder) / "a", *({"SPY": {"f": value}} for value in before)))
        recent.add(write(Path(folder) / "b", *({"SPY": {"f": value}} for value in now)))
        reference = fitted.reference("f")
        sample = recent.sample("f", reference)
    deciles = {nearest_rank(old, share / 10) for share in range(1, 10)}
    assert deciles <= set(reference.edges)
    assert (reference.low, reference.high) == (min(old), max(old))
    for values, counts in ((old, reference.counts), ([each for each in now if each is not None], sample.counts)):
        plain = [0] * (len(reference.edges) + 1)
        for value in values:
            plain[bisect_left(reference.edges, value)] += 1
        assert list(counts) == plain
    assert sample.asked == len(now)
    assert sample.outside == sum(not min(old) <= value <= max(old) for value in now if value is not None)


def test_missing_answers_count_as_asked(tmp_path: Path) -> None:
    """No answer, a null and what is no number are asked and not had; several symbols are pooled."""
    strange = [{"SPY": {"f": value}} for value in (None, "x", "NaN")]
    path = write(tmp_path / "r", {"SPY": {"f": 1.0}, "TSLA": None}, {}, *strange)
    with FeatureValues() as values:
        assert values.add(path) == Added(asked=5, silent=0, unreadable=0)
        assert (values.asked, values.count("f"), values.count("g"), values.names()) == (5, 1, 0, ["f"])
        with pytest.raises(ValueError, match="g has no finite value"):
            values.reference("g")


def test_older_and_broken_records_are_told(tmp_path: Path) -> None:
    """Polls that say nothing of features and lines that are none are counted, and drop nothing else."""
    with FeatureValues() as values:
        first = values.add(write(tmp_path / "old", ..., ..., {"SPY": {"f": 1.0}}, tail='{"type": "po'))
        assert first == Added(asked=1, silent=2, unreadable=1)
        assert values.add(write(tmp_path / "[x]*", {"SPY": {"f": 2.0}})).asked == 1
        assert values.count("f") == 2
        with pytest.raises(FileNotFoundError):
            values.add(tmp_path / "gone")
        (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00" * 100)
        with contextlib.suppress(duckdb.Error):
            assert values.add(tmp_path / "bytes").asked == 0
        assert values.count("f") == 2


def test_constant_feature_that_moves_is_seen(tmp_path: Path) -> None:
    """A feature that was always 3 and is now always below it is in another bin."""
    with FeatureValues() as fitted, FeatureValues() as recent:
        fitted.add(write(tmp_path / "a", *[{"SPY": {"f": 3.0}}] * 20))
        recent.add(write(tmp_path / "b", *[{"SPY": {"f": 2.999999}}] * 20))
        reference = fitted.reference("f")
        assert reference == FeatureReference((math.nextafter(3.0, -math.inf), 3.0), (0, 20, 0), 3.0, 3.0)
        assert recent.sample("f", reference).counts == (20, 0, 0)
