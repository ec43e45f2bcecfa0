"""The model of today against its golden predictions, asked about each bar of a recorded session."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from aurora.checks.golden import read_record
from aurora.checks.model_eval import ModelEval, evaluate, golden_cases, warm_bars
from aurora.clock import ManualClock, SystemClock
from aurora.desk import Desk
from aurora.errors import OperatorError
from aurora.session.strategy import LinearModel, Model, ScoreStrategy, Strategy
from tests.trading import ROOT, START, make_profile

PREDICTIONS, RECORDING = ROOT / "checks/golden-predictions.json", ROOT / "checks/golden-session.jsonl"


def ask(strategy: Strategy, predictions: Path = PREDICTIONS) -> ModelEval:
    """Evaluate a strategy on the shipped recording."""
    return evaluate(strategy, predictions, RECORDING, SystemClock())


def of(model: Model) -> ScoreStrategy:
    """Return the strategy of a model with the shipped scale."""
    return ScoreStrategy("tried", model, Decimal("0.01"))


def test_the_shipped_model_is_what_it_was() -> None:
    """Each golden prediction is answered to the last digit, and no bar is without an answer."""
    found = ask(Desk(ROOT, make_profile(), {}).strategy())
    assert found.wrong == []
    assert found.missing_pct == 0
    assert found.cases > found.bars > 50
    assert found.p95_ms is not None


def test_the_bars_are_those_that_the_session_decided_on() -> None:
    """A bar that the session gave a weight is asked about, and no other."""
    record = read_record(RECORDING, "golden")
    decided = [symbol for line in record if line["type"] == "poll" for symbol in line["weights"]]
    assert sorted(symbol for symbol, _ in warm_bars(record)) == sorted(decided)


def test_another_model_is_wrong_by_name() -> None:
    """A coefficient that was changed is found, with the features, the old answer and the new one."""
    found = ask(of(LinearModel({"bias": -0.8, "return_1_bps": 0.1, "return_5_bps": 0.35})))
    assert found.wrong
    assert " was " in found.wrong[0]


class Moody:
    """A model that has no answer, or none that is a number, where the one-bar return is negative."""

    def __init__(self, answer: float | None) -> None:
        self._answer = answer

    def predict(self, features: Mapping[str, float]) -> float:
        if features["return_1_bps"] >= 0:
            return 0.0
        if self._answer is None:
            raise ZeroDivisionError("no answer")
        return self._answer


@pytest.mark.parametrize("answer", [None, float("nan"), float("inf")])
def test_a_missing_answer_is_counted(answer: float | None) -> None:
    """Bars without a finite answer are a share; a golden prediction without one is wrong, never a crash."""
    found = ask(of(Moody(answer)))
    assert 10 < found.missing_pct < 90
    assert any("Error" in text for text in found.wrong)


class Slow(ScoreStrategy):
    """A strategy whose answers take a second each, on a clock of its own."""

    clock = ManualClock(START)

    def features(self, mids: Sequence[float]) -> Mapping[str, float]:
        self.clock.advance(1)
        return super().features(mids)


def test_the_time_is_that_of_an_answer() -> None:
    """The p95 is of features and answer together, in milliseconds."""
    slow = Slow("slow", LinearModel({}), Decimal("0.01"))
    found = evaluate(slow, PREDICTIONS, RECORDING, slow.clock)
    assert (found.p95_ms, found.worst_ms) == (Decimal(1000), Decimal(1000))


def test_cases_hold_the_extremes() -> None:
    """Golden predictions reach beyond what was recorded: each feature far out, where a model saturates."""
    cases = golden_cases(Desk(ROOT, make_profile(), {}).strategy(), RECORDING)["cases"]
    assert {case["features"]["return_1_bps"] for case in cases} >= {-1e4, 1e4}


@pytest.mark.parametrize("text", ["", "[]", '{"cases": [{"features": {}, "weight": "x"}]}', '{"cases": [7]}'])
def test_predictions_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    """A file of another form, and none at all, are nothing to hold a model against."""
    path = tmp_path / "predictions.json"
    with pytest.raises(OperatorError, match="holds no golden predictions"):
        ask(of(LinearModel({})), path)
    path.write_text(text)
    with pytest.raises(OperatorError, match="holds no golden predictions"):
        ask(of(LinearModel({})), path)
    assert json.loads(PREDICTIONS.read_text())["model"].startswith("linear@")
