from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from aurora.errors import ProfileError
from aurora.session.models import REGISTRY, open_model, open_reference
from aurora.session.strategy import FEATURES, ScoreStrategy
from tests.session.test_loop import run
from tests.trading import ROOT

FLAT = dict.fromkeys(FEATURES, 0.0)
COEFFICIENTS = {"bias": 0.5, "return_1_bps": 2}


def register(project: Path, data: Any = COEFFICIENTS, **changes: object) -> dict[str, dict[str, object]]:
    """Write an artifact and return a registry that names it, with `changes` (None: left out)."""
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    (project / "m.json").write_bytes(raw)
    entry = {"kind": "linear", "artifact": "m.json", "sha256": hashlib.sha256(raw).hexdigest(), **changes}
    return {"mine": {key: value for key, value in entry.items() if value is not None}}


def attribute(name: str, source: Path) -> dict[str, dict[str, object]]:
    """Return a registry with an attribute whose module has that source."""
    sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
    return {"mine": {"kind": "attribute", "attribute": name, "sha256": sha256}}


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an importable module with a model in it."""
    monkeypatch.syspath_prepend(tmp_path)
    name = f"model_{tmp_path.name.replace('-', '_')}"
    path = tmp_path / f"{name}.py"
    path.write_text("def predict(features):\n    return features['return_1_bps'] * 2\n\nWEIGHTS = [1]\n")
    return path


def test_linear_model_is_what_its_artifact_says(tmp_path: Path) -> None:
    """A linear model is a JSON file of coefficients: bias + Σ coefficient × feature."""
    opened = open_model(tmp_path, register(tmp_path), "mine")
    assert opened.model.predict({**FLAT, "return_1_bps": 3.0}) == 6.5
    assert (opened.name, len(opened.sha256)) == ("mine", 64)


def test_any_attribute_can_be_a_model(tmp_path: Path, module: Path) -> None:
    """A function of any importable module is a model; its module's file is what is hashed."""
    opened = open_model(tmp_path, attribute(f"{module.stem}:predict", module), "mine")
    assert opened.model.predict({"return_1_bps": 3.0}) == 6.0


def test_changed_artifact_is_refused_with_both_hashes(tmp_path: Path) -> None:
    """An artifact that is not what was registered is never used; what it is, and should be, is said."""
    registry = register(tmp_path)
    (tmp_path / "m.json").write_text('{"bias": 100}')
    with pytest.raises(ProfileError, match=f"the sha256 of m.json is .*, {registry['mine']['sha256']} is registered"):
        open_model(tmp_path, registry, "mine")


def test_changed_module_is_not_run(tmp_path: Path, module: Path) -> None:
    """A module whose file is not what was registered is refused before a line of it is run."""
    registry = attribute(f"{module.stem}:predict", module)
    module.write_text("from pathlib import Path\nPath(__file__).with_name('ran').touch()\npredict = float\n")
    with pytest.raises(ProfileError, match="is registered"):
        open_model(tmp_path, registry, "mine")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("data", "changes", "said"),
    [
        (COEFFICIENTS, {"kind": "pickle"}, "its kind was 'pickle'"),
        (COEFFICIENTS, {"kind": None}, "its kind was None"),
        (COEFFICIENTS, {"sha256": None}, "it has kind, artifact"),
        (COEFFICIENTS, {"sha256": 12}, "each as text"),
        (COEFFICIENTS, {"extra": "x"}, "it has kind, artifact, sha256, extra"),
        (COEFFICIENTS, {"reference": "r.json"}, "it has kind, artifact, sha256, reference."),
        (COEFFICIENTS, {"reference_sha256": "0"}, "it has kind, artifact, sha256, reference_sha256."),
        (COEFFICIENTS, {"reference": 1, "reference_sha256": "0"}, "as text"),
        (COEFFICIENTS, {"artifact": "gone.json"}, "gone.json can't be read"),
        ({"momentum": 1.0}, {}, "no feature 'momentum'"),
        ({"bias": "1"}, {}, "not a map of names to finite numbers"),
        ({"bias": True}, {}, "not a map of names to finite numbers"),
        ([1, 2], {}, "not a map of names to finite numbers"),
        (b'{"bias": NaN}', {}, "not a map of names to finite numbers"),
        (b"{", {}, "holds no coefficients"),
    ],
)
def test_wrong_entries_are_refused_by_what_is_wrong(
    tmp_path: Path, data: object, changes: dict[str, object], said: str
) -> None:
    """What can't be a model is refused with the model's name and what is wrong, before a session begins."""
    with pytest.raises(ProfileError) as caught:
        open_model(tmp_path, register(tmp_path, data, **changes), "mine")
    assert "The model mine of profiles/models.yaml can't be used" in caught.value.what
    assert said in caught.value.diagnostics()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_module_here:predict", "there is no no_such_module_here:predict"),
        ("{module}", "there is no "),
        ("{module}:gone", "AttributeError"),
        ("{module}:WEIGHTS", "can't be called"),
    ],
)
def test_wrong_attributes_are_refused(tmp_path: Path, module: Path, name: str, said: str) -> None:
    """An attribute that is not there, or is no function, is refused by name."""
    with pytest.raises(ProfileError, match=said):
        open_model(tmp_path, attribute(name.format(module=module.stem), module), "mine")


@pytest.mark.parametrize("registry", [None, [], {}, {"other": {}}])
def test_unknown_model_is_refused(tmp_path: Path, registry: object) -> None:
    """A name that the registry does not have is refused with those that it has."""
    with pytest.raises(ProfileError, match=r"models.name was 'mine'; profiles/models.yaml has no such model"):
        open_model(tmp_path, registry, "mine")


def test_shipped_models_can_be_opened() -> None:
    """Each model of the shipped registry is there, with the sha256 that is registered."""
    registry = yaml.safe_load((ROOT / REGISTRY).read_text())
    assert [open_model(ROOT, registry, name).name for name in registry] == ["linear"]


@pytest.mark.parametrize("score", [math.nan, math.inf, None, "1", True, Decimal(1)])
def test_score_that_is_no_number_locks_out(tmp_path: Path, score: Any) -> None:
    """Trading rule 11: a model whose score is no finite number is a fallback: held, counted, locked out."""

    class Odd:
        def predict(self, features: Mapping[str, float]) -> float:
            return score  # type: ignore[no-any-return]

    ran = run(tmp_path, model=ScoreStrategy("odd", Odd(), Decimal("0.01")))
    assert (ran.result.fallbacks, ran.result.locked_out, ran.result.orders) == (1, True, 0)
    assert "ValueError: the score was" in ran.result.anomalies[0]
    assert ran.lines[0]["model"] == "odd"


def test_reference_is_read_by_its_sha256(tmp_path: Path) -> None:
    """A model trades with and without a reference; one that is gone or was changed is refused when it is asked for."""
    assert open_reference(tmp_path, register(tmp_path), "mine") is None
    raw = b"{}"
    (tmp_path / "r.json").write_bytes(raw)
    registry = register(tmp_path, reference="r.json", reference_sha256=hashlib.sha256(raw).hexdigest())
    assert open_model(tmp_path, registry, "mine").name == "mine"
    assert open_reference(tmp_path, registry, "mine") == raw
    (tmp_path / "r.json").write_bytes(b"{ }")
    with pytest.raises(ProfileError, match=r"the sha256 of r\.json is"):
        open_reference(tmp_path, registry, "mine")
    (tmp_path / "r.json").unlink()
    with pytest.raises(ProfileError, match=r"r\.json can't be read"):
        open_reference(tmp_path, registry, "mine")
