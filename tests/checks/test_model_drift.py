from __future__ import annotations

import hashlib
import json
import random
import shutil
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from aurora.checks.drift_reference import read_reference, write_reference
from aurora.checks.model_drift import ModelDrift, fit, look_for_drift
from aurora.engine.profiles import load_profile
from aurora.errors import OperatorError, ProfileError
from aurora.evidence.archive import SUFFIX
from aurora.profile import Profile
from aurora.session.models import REGISTRY
from tests.trading import ROOT

NOW = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """Return a project with the shipped model, and a comment in its registry."""
    (tmp_path / "profiles" / "models").mkdir(parents=True)
    for name in (REGISTRY, "profiles/models/linear.json"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    return tmp_path


@pytest.fixture(scope="module")
def profile() -> Profile:
    """Return a profile of a real venue."""
    return load_profile(ROOT, "live_canary")


@pytest.fixture(scope="module")
def sim() -> Profile:
    """Return the profile of the simulated venue."""
    return load_profile(ROOT, "sim")


def features(count: int, shift: float = 0.0, seed: int = 1) -> Iterator[dict[str, float]]:
    """Yield features of a bell curve around `shift`."""
    drawn = random.Random(seed)
    for _ in range(count):
        yield {"fast": round(drawn.gauss(shift, 1), 6), "slow": round(drawn.gauss(0, 1), 6)}


def record(desk: Path, day: int, values: Iterator[dict[str, Any]] | None = None, **header: Any) -> str:
    """Write a real-time session of SPY on a day of November; return its name."""
    at = datetime(2026, 11, day, 15, tzinfo=UTC)
    path = desk / "sessions" / f"{at:%Y-%m-%dT%H%M%S}.000Z-abcd" / "session.jsonl"
    path.parent.mkdir(parents=True)
    first = {
        "type": "session.opened", "schema": 1, "mode": "shadow", "venue": "paper", "realtime": True, "symbols": ["SPY"],
        "quotes": "ibkr", "settings": {"poll_sec": "5"}, "at": at.isoformat(), **header,
    }  # fmt: skip
    lines = [first, *({"type": "poll", "features": {"SPY": each}} for each in values or features(300, seed=day))]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path.relative_to(desk))


def look(desk: Path, profile: Profile, *symbols: str) -> ModelDrift:
    """Look for drift now."""
    return look_for_drift(desk, profile, symbols or ("SPY",), NOW)


def fitted(desk: Path, profile: Profile) -> None:
    """Fit a reference from two sessions of old, and put it into use."""
    for day in (2, 3):
        record(desk, day, features(1000, seed=day))
    write_reference(desk, "linear", fit(desk, profile, NOW, 30))


def test_same_features_are_steady_and_trailing_sessions_are_enough(desk: Path, profile: Profile) -> None:
    """Trading rule 19: the newest sessions are pooled until each feature has 500 values, no further."""
    fitted(desk, profile)
    names = [record(desk, day) for day in (16, 17, 18)]
    found = look(desk, profile)
    assert (found.known, found.failed, found.warned, found.unknown) == (True, [], [], [])
    assert (found.sessions, found.own) == (names[:0:-1], 0)
    assert {each.samples for each in found.features} == {600}


def test_feature_of_ten_bars_takes_ten_times_the_values(desk: Path, profile: Profile) -> None:
    """Neighbouring values of a feature of many bars say the same: it is pooled further; one bar's takes in no more."""
    names = {"fast": "return_1_bps", "slow": "volatility_10_bps"}

    def renamed(seed: int, shift: float = 0.0) -> Iterator[dict[str, float]]:
        return ({names[name]: value for name, value in each.items()} for each in features(600, shift, seed))

    record(desk, 2, renamed(2))
    write_reference(desk, "linear", fit(desk, profile, NOW, 30))
    for day in range(3, 18):
        record(desk, day, renamed(day, shift=3.0))
    record(desk, 18, renamed(18))
    found = look(desk, profile)
    assert (found.known, found.failed, len(found.sessions)) == (True, [], 9)
    assert {each.feature: each.samples for each in found.features} == {"return_1_bps": 600, "volatility_10_bps": 5400}


def test_feature_that_moved_fails_alone(desk: Path, profile: Profile) -> None:
    """One feature that drifted is named; the other is steady; older sessions do not water it down."""
    fitted(desk, profile)
    record(desk, 10, features(5000, seed=9))
    record(desk, 18, features(600, shift=1.0))
    found = look(desk, profile)
    assert found.known
    assert [line.split(":")[0] for line in found.failed] == ["fast"]
    assert [str(each.verdict) for each in found.features] == ["fail", "steady"]


def test_too_few_values_are_unknown(desk: Path, profile: Profile) -> None:
    """499 values prove nothing, and say so; what was fitted long ago is out of the window of days."""
    fitted(desk, profile)
    for path in sorted((desk / "sessions").iterdir()):
        path.rename(path.with_name(path.name.replace("2026-11", "2026-09")))
    record(desk, 18, features(499))
    found = look(desk, profile)
    assert not found.known
    assert found.unknown == ["fast: 499 values; it takes 500", "slow: 499 values; it takes 500"]


def test_no_reference_is_unknown(desk: Path, profile: Profile) -> None:
    """A model without a reference, or with one of generated quotes for a real venue, is unknown."""
    record(desk, 18, features(600))
    assert look(desk, profile).unknown == ["the model linear has no reference; fit it: invoke drift fit"]


def test_reference_of_generated_quotes_is_for_the_simulated_venue(desk: Path, profile: Profile, sim: Profile) -> None:
    """What was fitted on generated quotes says nothing of a market."""
    record(desk, 18, features(600), realtime=False, quotes="dummy")
    write_reference(desk, "linear", fit(desk, sim, NOW, 30))
    assert look(desk, sim).known
    assert look(desk, profile).unknown == ["the reference is of generated or recorded quotes; fit it: invoke drift fit"]
    with pytest.raises(OperatorError, match="no session on real-time quotes was recorded"):
        fit(desk, profile, NOW, 30)


def test_sessions_that_are_not_comparable_are_left_out_and_named(desk: Path, profile: Profile) -> None:
    """Other symbols, another bar, generated quotes, older records and unreadable ones are told, not dropped."""
    fitted(desk, profile)
    record(desk, 9, features(900, shift=5), symbols=["SPY", "TSLA"])
    record(desk, 10, features(900, shift=5), settings={"poll_sec": "1"})
    record(desk, 11, features(900, shift=5), settings={})
    record(desk, 12, features(900, shift=5), realtime=False)
    record(desk, 13, iter([]))
    (desk / record(desk, 16)).write_text("half a li")
    found = look(desk, profile)
    assert (found.failed, found.own) == ([], 1)
    whys = sorted(line.split("session.jsonl: ")[1] for line in found.left_out)
    assert whys == [
        "it is of SPY, TSLA",
        "it says nothing of features",
        "its bars are of 1 s",
        "its bars are of unknown length",
        "its first line is not whole: nobody knows which session it is of",
        "its quotes were generated or recorded",
    ]


def test_symbol_that_the_reference_does_not_have_is_unknown(desk: Path, profile: Profile) -> None:
    """A reference of SPY says nothing of QQQ."""
    fitted(desk, profile)
    record(desk, 18, features(600))
    assert look(desk, profile, "SPY", "QQQ").unknown == ["the reference knows nothing of QQQ; fit it: invoke drift fit"]


def test_new_feature_is_unknown(desk: Path, profile: Profile) -> None:
    """A feature that the reference does not have makes the whole unknown."""
    fitted(desk, profile)
    record(desk, 18, ({**each, "new": 1.0} for each in features(600)))
    found = look(desk, profile)
    assert (found.known, found.unknown) == (False, ["new: the reference does not have it; fit it: invoke drift fit"])


def test_missing_answers_fail(desk: Path, profile: Profile) -> None:
    """Features that are null in more than the allowed share fail, however steady the rest is."""
    fitted(desk, profile)
    record(
        desk, 18, ({**each, "slow": None if number < 10 else each["slow"]} for number, each in enumerate(features(600)))
    )
    assert look(desk, profile).failed == ["slow: 1.667 % of its values are missing, limit 1 %"]


def test_fit_takes_enough_values_of_each_feature(desk: Path, profile: Profile) -> None:
    """A reference of few values would see drift everywhere: it is not fitted, and says what there is."""
    with pytest.raises(OperatorError, match="no session on real-time quotes"):
        fit(desk, profile, NOW, 30)
    record(desk, 18, features(400))
    with pytest.raises(OperatorError, match="a feature takes 500 values: fast has 400, slow has 400"):
        fit(desk, profile, NOW, 30)
    assert "reference" not in (desk / REGISTRY).read_text()


def test_registry_keeps_its_comments_and_names_the_reference(desk: Path, profile: Profile) -> None:
    """The fit adds two keys to the model's entry; all else of the file stays, and what it wrote can be read."""
    before = (desk / REGISTRY).read_text().splitlines()
    fitted(desk, profile)
    after = (desk / REGISTRY).read_text().splitlines()
    assert [line for line in after if "reference" not in line] == before
    reference = read_reference(desk, "linear")
    assert reference is not None
    assert (reference.symbols, reference.poll_sec, reference.realtime, len(reference.sessions)) == (
        ["SPY"],
        "5",
        True,
        2,
    )
    assert {sum(bins.counts) for bins in reference.features.values()} == {2000}


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda data: data.update(schema=2), "a schema that this version does not read"),
        (lambda data: data.update(features={}), "no feature"),
        (lambda data: data["features"]["fast"]["counts"].pop(), "bins of fast"),
        (lambda data: data["features"]["fast"]["edges"].reverse(), "bins of fast"),
        (lambda data: data["features"]["fast"].update(low=float("nan")), "bins of fast"),
        (lambda data: data["features"]["fast"]["counts"].__setitem__(0, -1), "bins of fast"),
        (lambda data: data.pop("symbols"), "symbols"),
        (lambda data: data.update(surprise=1), "surprise"),
    ],
)
def test_reference_that_is_none_is_refused(desk: Path, profile: Profile, damage: Any, told: str) -> None:
    """A file with its right sha256 and wrong bins is refused in words; nobody judges by it."""
    fitted(desk, profile)
    path = desk / "profiles/models/linear.reference.json"
    data = json.loads(path.read_text())
    damage(data)
    path.write_text(json.dumps(data))
    with pytest.raises(ProfileError, match="sha256"):
        look(desk, profile)
    registry = yaml.safe_load((desk / REGISTRY).read_text())
    registry["linear"]["reference_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (desk / REGISTRY).write_text(yaml.safe_dump(registry))
    with pytest.raises(ProfileError, match=told):
        look(desk, profile)


def test_window_is_the_profiles(desk: Path, profile: Profile) -> None:
    """Sessions older than `models.drift.window_days` are not pooled."""
    fitted(desk, profile)
    assert look_for_drift(desk, profile, ["SPY"], NOW + timedelta(days=60)).sessions == []


def test_archived_sessions_are_pooled(desk: Path, profile: Profile) -> None:
    """What housekeeping has put away is still a session."""
    fitted(desk, profile)
    name = record(desk, 18, features(600, shift=1.0))
    run = "2026-11-18T150000.000Z-shadow"
    with tarfile.open(desk / "runs.tmp", "w:gz") as tar:
        tar.add(desk / name, f"{run}/artifacts/shadow/1/session.jsonl")
    shutil.rmtree((desk / name).parent)
    (desk / "runs").mkdir()
    (desk / "runs.tmp").rename(desk / "runs" / f"{run}{SUFFIX}")
    assert [line.split(":")[0] for line in look(desk, profile).failed] == ["fast"]
