"""Scans one session's record with DuckDB: counts and distributions, in bounded memory for files of any length.

Distributions are kept as counts by whole thousandths (of a millisecond, a basis point, a second): exact to the three
places that the record has, and small whatever the number of polls.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

PHASES = ("quotes", "tripwires", "features", "predict", "risk", "route", "record")
LONGEST_LINE = 1 << 24
MEMORY = "1GB"
_KINDS = ("session.opened", "poll", "flatten", "session.closed")
_FIRST, _LAST = -(1 << 62), 1 << 62
SLICE = 500_000
"""So many polls have their equity followed at once."""
_COLUMNS = {
    "type": "VARCHAR",
    "n": "BIGINT",
    "step": "BIGINT",
    "at": "VARCHAR",
    "quotes": 'MAP(VARCHAR, STRUCT("at" VARCHAR, bid VARCHAR, ask VARCHAR))',
    "holds": "MAP(VARCHAR, STRUCT(kind VARCHAR)[])",
    "decisions": "JSON",
    "orders": "JSON",
    "fills": "JSON",
    "positions": "MAP(VARCHAR, BIGINT)",
    "cash": "VARCHAR",
    "anomalies": "VARCHAR[]",
    "fallbacks": "BIGINT",
    "phase_times_ms": "STRUCT(" + ", ".join(f"{name} DOUBLE" for name in PHASES) + ")",
    "flat": "BOOLEAN",
    "result": "JSON",
}
_THOUSANDTHS = "CAST(floor({0} * 1000 + 0.5) AS BIGINT)"


@dataclass
class Scan:
    """What one record came to. Distributions: counts by thousandths of the unit in the name.

    unreadable: lines that are no line of a record. unfit: polls without times, cash or fallbacks that can be read.
    back: polls earlier than the one before them, or numbered as it was. gaps: waits of over two intervals.
    holds: polls by symbol and tripwire. false_holds: symbol-polls held for the quote's age or a missed quote alone,
    of a symbol that was fit at the next poll. one_sided: quotes without a spread.
    spread_by, age_by: the same distributions by symbol.
    trades: (decisions, orders, fills) of each line that has any, in order.
    equity_known: the equity of each poll could be told.
    """

    polls: int = 0
    steps: int = 0
    unreadable: int = 0
    unfit: int = 0
    back: int = 0
    gaps: int = 0
    fallbacks: int = 0
    symbol_polls: int = 0
    held_polls: int = 0
    false_holds: int = 0
    one_sided: int = 0
    holds: Counter[tuple[str, str]] = field(default_factory=Counter)
    phases_ms: dict[str, Counter[int]] = field(default_factory=dict)
    spread_bps: Counter[int] = field(default_factory=Counter)
    quote_age_s: Counter[int] = field(default_factory=Counter)
    spread_by: dict[str, Counter[int]] = field(default_factory=dict)
    age_by: dict[str, Counter[int]] = field(default_factory=dict)
    trades: list[tuple[Any, Any, Any]] = field(default_factory=list)
    anomalies: list[str] = field(default_factory=list)
    result: dict[str, Any] | None = None
    drawdown_usd: Decimal | None = None
    equity_known: bool = True
    half_line: bool = False


def scan(path: Path, poll_sec: Decimal | None) -> Scan:
    """Scan the record at `path`; poll_sec: its interval in seconds, None where it is not known (then gaps are not).

    Raises duckdb.Error when the file can't be read at all, OSError when it is gone.
    """
    import duckdb  # noqa: PLC0415 - 40 ms and 60 MB that only rollups need

    with (
        tempfile.TemporaryDirectory(prefix="aurora-") as spilled,  # DuckDB's own place would be the project's folder
        duckdb.connect(config={"memory_limit": MEMORY, "threads": 2, "temp_directory": spilled}) as connection,
    ):
        connection.execute(_LOAD, [literally(path)])
        found = Scan(half_line=_ends_in_half_a_line(path))
        _count(connection, found)
        _distribute(connection, found)
        _hold(connection, found)
        _follow_time(connection, found, poll_sec)
        _follow_equity(connection, found)
        _trade(connection, found)
        return found


_LOAD = f"""
CREATE TEMP TABLE seen AS SELECT
    type, CASE WHEN type = 'poll' THEN n ELSE {_LAST} END AS n, step, TRY_CAST("at" AS TIMESTAMP) AS polled,
    quotes, holds,
    CASE WHEN cardinality(positions) > 0 THEN positions END AS positions, positions IS NULL AS unsaid,
    TRY_CAST(cash AS DECIMAL(18, 6)) AS cash, fallbacks, anomalies, phase_times_ms AS times, result,
    CASE WHEN decisions <> '[]' THEN decisions END AS decisions, CASE WHEN orders <> '[]' THEN orders END AS orders,
    CASE WHEN fills <> '[]' THEN fills END AS fills
FROM read_json(?, format = 'newline_delimited', records = 'true', ignore_errors = true,
    maximum_object_size = {LONGEST_LINE}, columns = {_COLUMNS})
"""  # noqa: S608 - names of ours alone
_TOTAL = " + ".join(f"times.{name}" for name in PHASES)


def _count(connection: duckdb.DuckDBPyConnection, found: Scan) -> None:
    row = connection.execute(
        f"""SELECT count(*) FILTER (type = 'poll'), count(step) FILTER (type = 'poll'),
            count(*) FILTER (type IS NULL OR type NOT IN {_KINDS}),
            count(*) FILTER (type = 'poll' AND (n IS NULL OR polled IS NULL OR fallbacks IS NULL OR quotes IS NULL
                OR holds IS NULL OR NOT coalesce(isfinite({_TOTAL}), false))),
            coalesce(max(fallbacks), 0) FROM seen"""  # noqa: S608 - names of ours alone
    ).fetchone()
    assert row is not None
    found.polls, found.steps, found.unreadable, found.unfit, found.fallbacks = row
    last = connection.execute(
        "SELECT anomalies FROM seen WHERE type = 'poll' AND anomalies IS NOT NULL ORDER BY n DESC LIMIT 1"
    ).fetchone()
    found.anomalies = list(last[0]) if last else []
    closed = connection.execute("SELECT result FROM seen WHERE type = 'session.closed' LIMIT 1").fetchone()
    result = json.loads(closed[0]) if closed and closed[0] else None
    found.result = result if isinstance(result, dict) else None


def _distribute(connection: duckdb.DuckDBPyConnection, found: Scan) -> None:
    for name in (*PHASES, "loop"):
        value = _TOTAL if name == "loop" else f"times.{name}"
        rows = connection.execute(
            f"SELECT {_THOUSANDTHS.format(f'({value})')}, count(*) FROM seen"  # noqa: S608 - names of ours alone
            f" WHERE type = 'poll' AND isfinite({value}) GROUP BY 1"
        ).fetchall()
        found.phases_ms[name] = Counter(dict(rows))
    connection.execute(
        """CREATE TEMP TABLE looks AS SELECT n, polled, entry.key AS symbol,
            TRY_CAST(entry.value."at" AS TIMESTAMP) AS ticked,
            TRY_CAST(entry.value.bid AS DOUBLE) AS bid, TRY_CAST(entry.value.ask AS DOUBLE) AS ask,
            TRY_CAST(entry.value.bid AS DECIMAL(18, 6)) AS exact_bid
        FROM (SELECT n, polled, unnest(map_entries(quotes)) AS entry FROM seen WHERE type = 'poll')"""
    )
    fit = "isfinite(bid) AND isfinite(ask) AND bid > 0 AND ask >= bid"
    bps = _THOUSANDTHS.format("((ask - bid) / ((ask + bid) / 2) * 10000)")
    spreads = f"SELECT symbol, {bps}, count(*) FROM looks WHERE {fit} GROUP BY 1, 2"  # noqa: S608 - ours
    found.spread_by = _by_symbol(connection.execute(spreads).fetchall())
    found.spread_bps = sum(found.spread_by.values(), Counter())
    age = _THOUSANDTHS.format("(epoch_us(polled) - epoch_us(ticked)) / 1000000")
    ages = f"""SELECT symbol, {age}, count(*) FROM looks WHERE polled IS NOT NULL AND ticked IS NOT NULL
        GROUP BY 1, 2"""  # noqa: S608 - ours
    found.age_by = _by_symbol(connection.execute(ages).fetchall())
    found.quote_age_s = sum(found.age_by.values(), Counter())
    row = connection.execute(f"SELECT count(*) FILTER (NOT coalesce({fit}, false)), count(*) FROM looks").fetchone()  # noqa: S608 - ours
    assert row is not None
    found.one_sided, found.symbol_polls = row


def _by_symbol(rows: Iterable[tuple[str, int, int]]) -> dict[str, Counter[int]]:
    found: dict[str, Counter[int]] = {}
    for symbol, thousandths, count in rows:
        found.setdefault(symbol, Counter())[thousandths] = count
    return found


def _hold(connection: duckdb.DuckDBPyConnection, found: Scan) -> None:
    connection.execute(
        """CREATE TEMP TABLE held AS SELECT n, entry.key AS symbol,
            list_transform(entry.value, lambda hold: hold.kind) AS kinds
        FROM (SELECT n, unnest(map_entries(holds)) AS entry FROM seen WHERE type = 'poll' AND cardinality(holds) > 0)
        WHERE len(entry.value) > 0"""
    )
    rows = connection.execute(
        "SELECT symbol, kind, count(*) FROM (SELECT symbol, unnest(kinds) AS kind FROM held) GROUP BY ALL"
    ).fetchall()
    found.holds = Counter({(symbol, kind or "unknown"): count for symbol, kind, count in rows})
    row = connection.execute(
        """SELECT count(*), count(*) FILTER (
            list_has_all(['stale', 'missed'], h.kinds)
            AND EXISTS (SELECT 1 FROM looks l WHERE l.n = h.n + 1 AND l.symbol = h.symbol)
            AND NOT EXISTS (SELECT 1 FROM held o WHERE o.n = h.n + 1 AND o.symbol = h.symbol)) FROM held h"""
    ).fetchone()
    assert row is not None
    found.held_polls, found.false_holds = row


def _follow_time(connection: duckdb.DuckDBPyConnection, found: Scan, poll_sec: Decimal | None) -> None:
    row = connection.execute(
        """SELECT count(*) FILTER (wait_us < 0 OR n = n_before), count(*) FILTER (wait_us > ?) FROM (
            SELECT n, lag(n) OVER (ORDER BY n) AS n_before, epoch_us(polled) - epoch_us(lag(polled) OVER (ORDER BY n))
                AS wait_us FROM seen WHERE type = 'poll')""",
        [2**62 if poll_sec is None else int(poll_sec * 2_000_000)],
    ).fetchone()
    assert row is not None
    found.back, found.gaps = row


def _follow_equity(connection: duckdb.DuckDBPyConnection, found: Scan) -> None:
    """Find the deepest fall of cash and holdings, longs marked at the last valid bid (rule 9).

    A slice of the polls after the other: what a running maximum over all of them needs would grow with the record.
    """
    peak: Decimal | None = None
    connection.execute("CREATE TEMP TABLE marked (symbol VARCHAR, bid DECIMAL(18, 6))")
    for slice_ in _slices(connection, found.polls):
        row = connection.execute(_EQUITY.format(slice=slice_)).fetchone()
        assert row is not None
        highest, lowest, fall, known = row
        falls = [found.drawdown_usd, fall, None if peak is None or lowest is None else peak - lowest]
        found.drawdown_usd = max((each for each in falls if each is not None), default=None)
        found.equity_known &= known
        peak = max((each for each in (peak, highest) if each is not None), default=None)
        connection.execute(_MARKS.format(slice=slice_))


def _slices(connection: duckdb.DuckDBPyConnection, polls: int) -> Iterator[str]:
    """Yield conditions on `n` under which about SLICE polls fall, in order; together they leave no line out."""
    parts = -(-polls // SLICE)
    shares = [part / parts for part in range(1, parts)]
    bounds: list[int] = []
    if shares:
        row = connection.execute(f"SELECT approx_quantile(n, {shares}) FROM seen WHERE type = 'poll'").fetchone()  # noqa: S608 - ours
        assert row is not None
        bounds = sorted(set(row[0]))
    for low, high in pairwise([None, *bounds, None]):
        yield f"{'true' if low is None else f'n > {low}'} AND {'true' if high is None else f'n <= {high}'}"


_EQUITY = f"""WITH
    lines AS (SELECT * FROM (SELECT * REPLACE (coalesce(n, {_LAST}) AS n) FROM seen WHERE type IN ('poll', 'flatten'))
        WHERE {{slice}}),
    holding AS (SELECT n, unnest(map_entries(positions)) AS entry FROM lines WHERE positions IS NOT NULL),
    marks AS (
        SELECT n, symbol, last_value(CASE WHEN exact_bid > 0 THEN exact_bid END IGNORE NULLS)
            OVER (PARTITION BY symbol ORDER BY n ROWS UNBOUNDED PRECEDING) AS bid
        FROM (SELECT {_FIRST} AS n, symbol, bid AS exact_bid FROM marked
            UNION ALL SELECT n, symbol, exact_bid FROM looks WHERE {{slice}}
            UNION ALL SELECT DISTINCT {_LAST}, entry.key, NULL::DECIMAL(18, 6) FROM holding)
        WHERE symbol IN (SELECT DISTINCT entry.key FROM holding)),
    worth AS (SELECT h.n, sum(h.entry.value * m.bid) AS usd, count(*) = count(m.bid) AS known
        FROM holding h LEFT JOIN marks m ON m.n = h.n AND m.symbol = h.entry.key GROUP BY h.n),
    equity AS (SELECT s.n, CASE WHEN s.unsaid OR NOT coalesce(w.known, true) THEN NULL
            ELSE s.cash + coalesce(w.usd, 0) END AS usd
        FROM lines s LEFT JOIN worth w ON w.n = s.n)
    SELECT max(usd), min(usd), max(fall), count(*) = count(usd) FROM (
        SELECT usd, max(usd) OVER (ORDER BY n ROWS UNBOUNDED PRECEDING) - usd AS fall FROM equity)"""  # noqa: S608 - ours
_MARKS = """CREATE OR REPLACE TEMP TABLE marked AS
    SELECT symbol, coalesce(max(seen.bid), max(marked.bid)) AS bid
    FROM (SELECT symbol, arg_max(exact_bid, n) FILTER (exact_bid > 0) AS bid FROM looks
        WHERE {slice} GROUP BY symbol) seen
    FULL JOIN marked USING (symbol) GROUP BY symbol"""


def _trade(connection: duckdb.DuckDBPyConnection, found: Scan) -> None:
    rows = connection.execute(
        """SELECT decisions, orders, fills FROM seen WHERE type IN ('poll', 'flatten')
        AND (decisions IS NOT NULL OR orders IS NOT NULL OR fills IS NOT NULL) ORDER BY n"""
    )
    while some := rows.fetchmany(4096):
        for decisions, orders, fills in some:
            found.trades.append((json.loads(decisions or "[]"), json.loads(orders or "[]"), json.loads(fills or "[]")))


def _ends_in_half_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, 2) == 0:
            return True
        file.seek(-1, 2)
        return file.read(1) != b"\n"


def literally(path: Path) -> str:
    """Return `path` as a pattern that means only itself."""
    return re.sub(r"[*?[]", lambda found: f"[{found[0]}]", str(path))
