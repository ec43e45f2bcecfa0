from __future__ import annotations

import contextlib
import json
import math
from bisect import bisect_left
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.analytics.drift import APART, Decile, FeatureReference, bin_edges, psi
from aurora.analytics.feature_values import Added, FeatureValues
from aurora.analytics.quantiles import nearest_rank

VALUE = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.5]), st.floats(-1e6, 1e6).map(lambda value: round(value, 6)))


def write(path: Path, *polls: object, tail: str = "") -> Path:
    """Write a record of polls with these features (`...`: a poll without the key)."""
    lines: list[dict[str, object]] = [{"type": "session.opened"}]
    lines += [{"type": "poll"} if features is ... else {"type": "poll", "features": features} for features in polls]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + tail)
    return path


def plain_edges(values: list[float]) -> tuple[float, ...]:
    """Return the edges of values by loops over all of them."""
    groups: list[list[float]] = []
    for each in sorted(values):
        apart = not groups or each - groups[-1][-1] > APART * max(abs(each), abs(groups[-1][-1]))
        groups.append([each]) if apart else groups[-1].append(each)
    deciles = []
    for share in range(1, 10):
        value = nearest_rank(values, share / 10)
        assert value is not None
        number = next(number for number, group in enumerate(groups) if value in group)
        group = groups[number]
        below = groups[number - 1][-1] if number else None
        above = groups[number + 1][0] if number + 1 < len(groups) else None
        up_to = sum(each <= value for each in group)
        deciles.append(Decile(value, group[0], group[-1], below, above, up_to, len(group) - up_to))
    return bin_edges(deciles, len(values))


@settings(max_examples=60, deadline=None)
@given(st.lists(VALUE, min_size=1, max_size=60), st.lists(VALUE, max_size=60))
def test_bins_are_those_of_plain_python(before: list[float | None], now: list[float | None]) -> None:
    """Edges, counts by half-open bins and the outside share are what a plain computation says."""
    old = [value for value in before if value is not None]
    if not old:
        return
    with TemporaryDirectory() as folder, FeatureValues() as fitted, FeatureValues() as recent:
        fitted.add(write(Path(folder) / "a", *({"SPY": {"f": value}} for value in before)))
        recent.add(write(Path(folder) / "b", *({"SPY": {"f": value}} for value in now)))
        reference = fitted.reference("f")
        sample = recent.sample("f", reference)
    assert reference.edges == plain_edges(old)
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


def walk(seed: int, price: float, wildness: int) -> list[object]:
    """Return 1,000 polls of what 5 bars return in bps, two symbols that move by whole cents."""
    rng, polls = Random(seed), []
    cents = {"SPY": [round(price * 150)], "TSLA": [round(price * 100)]}
    for number in range(1005):
        for path in cents.values():
            path.append(path[-1] + rng.choice([0, 0, 0, -1, 1, rng.randint(-wildness, wildness)]))
        if number >= 5:
            polls.append({name: {"f": (path[-1] / path[-6] - 1) * 1e4} for name, path in cents.items()})
    return list(polls)


@pytest.mark.parametrize("seed", range(5))
def test_price_that_moved_is_no_drift_and_a_wilder_market_is(tmp_path: Path, seed: int) -> None:
    """A cent's return changes with the price: no edge is so near that that is a drift. Four times the steps are."""

    def found(now: list[object]) -> float:
        with FeatureValues() as fitted, FeatureValues() as recent:
            fitted.add(write(tmp_path / "a", *walk(seed, 400, 3)))
            recent.add(write(tmp_path / "b", *now))
            reference = fitted.reference("f")
            return psi(reference.counts, recent.sample("f", reference).counts) or 0.0

    assert found(walk(seed + 100, 388, 3)) < 0.1
    assert found(walk(seed + 100, 412, 3)) < 0.1
    assert found(walk(seed + 100, 400, 12)) > 0.25
