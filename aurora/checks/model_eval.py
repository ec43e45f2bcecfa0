"""Model evaluation: golden predictions, the share of bars without an answer, and the time that an answer takes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from aurora.checks.golden import read_record
from aurora.clock import Clock
from aurora.errors import OperatorError
from aurora.session.bars import Bars
from aurora.session.phases import p95
from aurora.session.strategy import Strategy

MOST = 20
ROUNDS = 5
"""Times that each bar is asked about; the time is that of all of them."""

EXTREMES = (0.0, 1.0, -1.0, 50.0, -50.0, 1e4, -1e4)
"""Of each feature, the others zero: where a model saturates, or breaks."""


@dataclass(frozen=True)
class ModelEval:
    """What the model of the profile is worth today.

    cases: golden predictions. wrong: those that are others now. bars: that were asked about. missing_pct: without a
    finite feature or an answer. p95_ms, worst_ms: of one answer, features included; null without a bar.
    """

    model: str
    cases: int
    wrong: list[str]
    bars: int
    missing_pct: Decimal
    p95_ms: Decimal | None
    worst_ms: Decimal | None


def evaluate(
    strategy: Strategy, predictions: Path, recording: Path, stopwatch: Clock, shown: str = "the recording"
) -> ModelEval:
    """Ask the strategy for each golden prediction, and about each bar of a recorded session.

    Raises OperatorError when either file can't be read.
    """
    cases = _read_cases(predictions)
    wrong = [text for case in cases if (text := _compare(strategy, case))]
    asked, missing = 0, 0
    times_ms: list[float] = []
    for _, mids in warm_bars(read_record(recording, shown)):
        asked += 1
        has_answer = False
        for _ in range(ROUNDS):
            began = stopwatch.monotonic()
            has_answer = _answer(strategy, mids) is not None
            times_ms.append((stopwatch.monotonic() - began) * 1000)
        missing += not has_answer
    return ModelEval(
        strategy.name,
        len(cases),
        wrong[:MOST],
        asked,
        round(Decimal(missing) * 100 / max(1, asked), 3),
        p95(times_ms),
        Decimal(str(round(max(times_ms), 3))) if times_ms else None,
    )


def golden_cases(strategy: Strategy, recording: Path, shown: str = "the recording") -> dict[str, Any]:
    """Return what a file of golden predictions holds: the strategy's answers on a recording's bars, and at extremes."""
    features = [dict(strategy.features(mids)) for _, mids in warm_bars(read_record(recording, shown))]
    names = list(features[0]) if features else []
    features += [{**dict.fromkeys(names, 0.0), name: value} for name in names for value in EXTREMES]
    return {
        "model": strategy.name,
        "cases": [{"features": each, "weight": str(strategy.weight(each))} for each in features],
    }


def warm_bars(record: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Sequence[float]]]:
    """Yield symbol and mids (USD, oldest first) of each bar of a record that a session would have decided on."""
    bars = Bars(record[0]["symbols"])
    for line in record:
        if line["type"] != "poll":
            continue
        for symbol, quote in line["quotes"].items():
            is_warm, is_held = bars.is_warm(symbol), symbol in line["holds"]
            good = not is_held and quote is not None and quote["bid"] is not None and quote["ask"] is not None
            bars.add(symbol, (Decimal(quote["bid"]) + Decimal(quote["ask"])) / 2 if good else None)
            if is_warm and good:
                yield symbol, bars.mids(symbol)


def _answer(strategy: Strategy, mids: Sequence[float]) -> Decimal | None:
    try:
        features = strategy.features(mids)
        weight = strategy.weight(features)
    except Exception:  # noqa: BLE001 - a model may fail in any way; each is no answer
        return None
    return weight if weight.is_finite() and all(math.isfinite(value) for value in features.values()) else None


def _compare(strategy: Strategy, case: tuple[Mapping[str, float], Decimal]) -> str:
    features, wanted = case
    try:
        found: object = strategy.weight(features)
    except Exception as error:  # noqa: BLE001 - the same
        found = f"{type(error).__name__}: {error}"
    return "" if found == wanted else f"{json.dumps(features)}: was {wanted}, is {found}"[:300]


def _read_cases(path: Path) -> list[tuple[Mapping[str, float], Decimal]]:
    try:
        data = json.loads(path.read_text("utf-8"))
        return [(dict(case["features"]), Decimal(case["weight"])) for case in data["cases"]]
    except (OSError, ValueError, TypeError, KeyError, InvalidOperation) as error:
        raise OperatorError(
            f"{path.name} holds no golden predictions: {type(error).__name__}: {error}.",
            means="nobody knows what the model is to answer",
            todo="make them: invoke runbook renew-golden",
        ) from error
