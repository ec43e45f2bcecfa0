"""A golden session: replayed it decides the same, and whatever would decide otherwise is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from aurora.checks.golden import GoldenReplay, replay_golden
from aurora.checks.renewal import PREDICTIONS, GoldenDraft, draft_golden, keep_golden
from aurora.desk import Desk
from aurora.errors import OperatorError
from aurora.market.mode import Mode
from aurora.session.run import Attempt, run_session
from aurora.session.settings import SessionRequest
from tests.trading import ROOT, give_models, make_profile

SHIPPED = "checks/golden-session.jsonl"


def replay(project: Path, **profile: Any) -> GoldenReplay:
    """Replay the project's golden session under the profile sim, changed."""
    desk = Desk(project, make_profile(**profile), {})
    return replay_golden(desk, SHIPPED, Attempt("now", project / "now"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project with the shipped golden files and models."""
    shutil.copytree(ROOT / "checks", tmp_path / "checks")
    return give_models(tmp_path)


def test_the_shipped_session_decides_as_it_did(project: Path) -> None:
    """The code of today makes of the golden quotes what the golden session made of them, poll by poll."""
    found = replay(project)
    assert (found.same, found.differences) == (True, [])
    assert found.polls > 40


@pytest.mark.parametrize(
    ("profile", "field"),
    [
        ({"models": {"max_weight_pct": "0.4"}}, "weights was"),
        ({"risk": {"max_spread_bps": "0.5"}}, "holds was"),
        ({"risk": {"collar_bps": 20}}, "decisions was"),
        ({"risk": {"daily_fee_cap_usd": 49}}, "limits: daily_fee_cap_usd was"),
        ({"models": {"enable": False}}, "settings: models_enabled was true, is false"),
    ],
)
def test_what_decides_otherwise_is_named(project: Path, profile: dict[str, Any], field: str) -> None:
    """A model, a tripwire, a limit or a price that is another one makes the check red, and says where first."""
    found = replay(project, **profile)
    assert not found.same
    assert any(field in text for text in found.differences)
    assert len(found.differences) <= 20


def test_a_changed_record_is_another_session(project: Path) -> None:
    """A line that was edited in the golden record is a difference, too; one more field in today's records is none."""
    path = project / SHIPPED
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    del lines[20]["positions"]  # as if today's records had one field more
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert replay(project).same
    lines[20]["cash"] = "1"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    shutil.rmtree(project / "now")
    (difference,) = replay(project).differences
    assert difference.startswith('poll 20: cash was "1", is "')


@pytest.mark.parametrize("how", ["torn", "missing", "no record", "live", "no session", "other lines"])
def test_what_is_no_golden_session_is_refused(project: Path, how: str) -> None:
    """A record that is torn, not there, or of a live session is nothing to compare with."""
    path = project / SHIPPED
    if how == "missing":
        path.unlink()
    elif how == "torn":
        path.write_bytes(path.read_bytes()[:-50])
    elif how in ("no session", "other lines"):
        was, now = ('"session":', '"sesion":') if how == "no session" else ('"type":"flatten"', '"type":"fluff"')
        path.write_text(path.read_text().replace(was, now))
    else:
        path.write_text("{}\n" if how == "no record" else path.read_text().replace('"mode":"paper"', '"mode":"live"'))
    with pytest.raises(OperatorError):
        replay(project)


def test_renewed_files_are_drafts_until_they_are_kept(project: Path) -> None:
    """A draft changes nothing; kept, the golden session replays and the predictions are the model's."""
    desk = Desk(project, make_profile(), {})
    before = (project / SHIPPED).read_bytes()
    draft: GoldenDraft = draft_golden(desk, "dummy:seed=11", ("SPY",), 30, Attempt("d", project / "draft"))
    assert (project / SHIPPED).read_bytes() == before
    assert (draft.recording, draft.predictions) == ("draft/session.jsonl", f"draft/{PREDICTIONS}")
    kept = keep_golden(project, {SHIPPED: draft.recording, "checks/golden-predictions.json": draft.predictions})
    assert kept.files == ["checks/golden-predictions.json", SHIPPED]
    assert (project / SHIPPED).read_bytes() != before
    assert replay(project).same


def test_a_draft_that_is_torn_or_goes_elsewhere_is_not_kept(project: Path) -> None:
    """Nothing is written where one of the drafts is none, or its place is outside of the project."""
    before = (project / SHIPPED).read_bytes()
    (project / "torn.jsonl").write_bytes(before[:-50])
    with pytest.raises(OperatorError):
        keep_golden(project, {SHIPPED: "torn.jsonl"})
    with pytest.raises(OperatorError, match="outside"):
        keep_golden(project, {"../golden.jsonl": SHIPPED})
    assert (project / SHIPPED).read_bytes() == before


def test_a_shadow_session_replays_too(project: Path) -> None:
    """Shadow sessions replay as well as paper ones."""
    desk = Desk(project, make_profile(), {})
    request = SessionRequest(Mode.SHADOW, ("SPY",), "dummy", steps=15)
    run_session(desk, request, Attempt("s", project / "shadow"))
    shutil.copy(project / "shadow/session.jsonl", project / SHIPPED)
    assert replay(project).same
