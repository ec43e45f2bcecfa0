"""The features that sessions recorded, counted with DuckDB: of any length, in bounded memory."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aurora.analytics.drift import APART, DECILES, Decile, FeatureReference, FeatureSample, bin_edges
from aurora.analytics.scan import LONGEST_LINE, MEMORY, literally


@dataclass(frozen=True)
class Added:
    """What a record gave. asked: answers of features; silent: polls that say nothing of features; unreadable: lines."""

    asked: int
    silent: int
    unreadable: int


class FeatureValues(AbstractContextManager["FeatureValues"]):
    """enter → add each record → names → reference | sample of each."""

    def __init__(self) -> None:
        import duckdb  # noqa: PLC0415 - 40 ms and 60 MB that only rollups and drift need

        self._spilled = tempfile.TemporaryDirectory(
            prefix="aurora-"
        )  # DuckDB's own place would be the project's folder
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": MEMORY,
            "threads": 2,
            "temp_directory": self._spilled.name,
        }
        self._connection = duckdb.connect(config=config)
        self._connection.execute("CREATE TEMP TABLE answers (features MAP(VARCHAR, DOUBLE))")

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._spilled.cleanup()

    def add(self, path: Path) -> Added:
        """Take the answers of a record in. Raises duckdb.Error when the file can't be read, OSError when it is gone."""
        path.stat()
        self._connection.execute(_LOAD, [literally(path)])
        silent, unreadable = self._row(
            "SELECT count(*) FILTER (type = 'poll' AND features IS NULL), count(*) FILTER (type IS NULL) FROM told"
        )
        before = self.asked
        self._connection.execute(
            "INSERT INTO answers SELECT entry.value FROM"
            " (SELECT unnest(map_entries(features)) AS entry FROM told WHERE type = 'poll')"
        )
        return Added(self.asked - before, silent, unreadable)

    @property
    def asked(self) -> int:
        """How often the model was asked."""
        return int(self._row("SELECT count(*) FROM answers")[0])

    def names(self) -> list[str]:
        """Return the names of the features, sorted."""
        rows = self._connection.execute("SELECT DISTINCT unnest(map_keys(features)) AS name FROM answers ORDER BY name")
        return [name for (name,) in rows.fetchall()]

    def count(self, name: str) -> int:
        """Return how many finite values there are of a feature."""
        return int(self._row(f"SELECT count(*) FROM {_VALUES}", name)[0])  # noqa: S608 - a query of ours

    def reference(self, name: str) -> FeatureReference:
        """Return a feature's bins by its own deciles. Raises ValueError when it has no value."""
        deciles, low, high, total = self._row(
            f"SELECT quantile_disc(v, {list(DECILES)}), min(v), max(v), count(*) FROM {_VALUES}",  # noqa: S608 - numbers of ours
            name,
        )
        if low is None:
            raise ValueError(f"{name} has no finite value")
        self._connection.execute(_GAPS, [name])
        edges = bin_edges([self._around(name, value, low, high) for value in deciles], total)
        return FeatureReference(edges, self._counts(name, edges), low, high)

    def _around(self, name: str, value: float, low: float, high: float) -> Decile:
        """Return a decile with the values that stand together around it; `low`, `high` are the feature's ends."""
        below, begin = self._row("SELECT max(below), max(above) FROM gaps WHERE above <= ?", value)
        end, above = self._row("SELECT min(below), min(above) FROM gaps WHERE below >= ?", value)
        begin, end = (low if begin is None else begin), (high if end is None else end)
        up_to, beyond = self._row(
            f"SELECT count(*) FILTER (v <= ?), count(*) FILTER (v > ?) FROM {_VALUES} WHERE v BETWEEN ? AND ?",  # noqa: S608 - a name of ours
            value, value, name, begin, end,
        )  # fmt: skip
        return Decile(value, begin, end, below, above, up_to, beyond)

    def sample(self, name: str, reference: FeatureReference) -> FeatureSample:
        """Return a feature's values, counted by the bins of its reference."""
        outside = self._row(
            f"SELECT count(*) FROM {_VALUES} WHERE v < ? OR v > ?",  # noqa: S608 - a name of ours
            name,
            reference.low,
            reference.high,
        )
        return FeatureSample(self.asked, self._counts(name, reference.edges), int(outside[0]))

    def _counts(self, name: str, edges: Sequence[float]) -> tuple[int, ...]:
        rows = self._connection.execute(
            f"SELECT len(list_filter(?::DOUBLE[], lambda e: e < v)) AS bin, count(*) FROM {_VALUES} GROUP BY bin",  # noqa: S608 - the same
            [list(edges), name],
        )
        found = dict(rows.fetchall())
        return tuple(found.get(number, 0) for number in range(len(edges) + 1))

    def _row(self, query: str, *parameters: object) -> tuple[Any, ...]:
        row = self._connection.execute(query, parameters).fetchone()
        assert row is not None
        return row


_VALUES = "(SELECT features[?] AS v FROM answers WHERE isfinite(v))"
_GAPS = f"""
CREATE OR REPLACE TEMP TABLE gaps AS SELECT below, above FROM
    (SELECT v AS above, lag(v) OVER (ORDER BY v) AS below FROM (SELECT DISTINCT v FROM {_VALUES}))
WHERE above - below > {APART} * greatest(abs(above), abs(below))
"""  # noqa: S608 - a number of ours
_LOAD = f"""
CREATE OR REPLACE TEMP TABLE told AS SELECT type, features
FROM read_json(?, format = 'newline_delimited', records = 'true', ignore_errors = true,
    maximum_object_size = {LONGEST_LINE}, columns = {{type: 'VARCHAR', features: 'MAP(VARCHAR, MAP(VARCHAR, DOUBLE))'}})
"""  # noqa: S608 - a number of ours
