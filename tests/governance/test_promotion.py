"""Promotion: which sealed sessions count, which days are in a row, and what begins the week anew."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aurora.clock import SystemClock
from aurora.engine.execute import start_run
from aurora.engine.profiles import load_profile
from aurora.evidence.archive import archive_run
from aurora.evidence.keys import ensure_key
from aurora.governance.promotion import Promoted, Promotion, compare_with_promoted, look_at_week
from aurora.journal import Event
from aurora.profile import Section
from aurora.risk.loosening import limits_of
from tests.engine.kit import Recorder, bound_steps
from tests.evidence.sealed import Records
from tests.trading import ROOT

MODEL = "linear@523109187f12"
WEEK = [date(2026, 11, day) for day in (16, 17, 18, 19, 20)]
NOW = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
MONDAY = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
STEPS = """
    import json
    from dataclasses import dataclass
    from aurora.engine.context import Context
    from aurora.engine.registry import step

    @dataclass(frozen=True)
    class Result:
        recording: str
        anomalies: list[str]
        fallbacks: int
        flat: bool
        realtime: bool
        quotes: str
        bars_decided: int | None
        hold_share_pct: str | None

    @step(repeat="safe")
    def shadow(context: Context[None]) -> Result:
        said = json.loads((context.project / "said.json").read_text())
        if said["header"] is not None:
            context.artifacts.mkdir(parents=True, exist_ok=True)
            lines = [said["header"], *said["rest"]]
            (context.artifacts / "session.jsonl").write_text("".join(json.dumps(line) + "\\n" for line in lines))
        recording = str((context.artifacts / "session.jsonl").relative_to(context.project))
        return Result(recording, **said["outputs"])
"""
BOOK = """
    params:
      profile: {type: string, default: paper}
    steps:
      - {id: shadow, uses: session.shadow, gate: "anomalies == []"}
"""


def git(root: Path, *words: str) -> None:
    """Run git in the project."""
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(root), *who, *words], check=True, capture_output=True)


class Desk:
    """A project with signed records, whose clock is turned, and whose sessions come out as they are told to."""

    def __init__(self, records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
        self.records, self.root = records, records.lab.root
        self.profile = load_profile(ROOT, "live_canary")
        self._monkeypatch = monkeypatch

    def session(self, day: date, header: Mapping[str, Any] | None = None, **outputs: Any) -> str:
        """Run and seal a session on `day`; return its run. header: what differs in the record's first line."""
        self.prepare(day, header, **outputs)
        return self.records.run().name

    def prepare(self, day: date, header: Mapping[str, Any] | None = None, **outputs: Any) -> None:
        """Turn the clock, and say how the next session is to come out. rest: the record's other lines."""
        rest = outputs.pop("rest", [{"type": "session.closed"}])
        first = {
            "symbols": ["SPY", "TSLA"], "model": MODEL, "settings": {"models_enabled": True},
            "profile": {"limits": limits_of(self.profile)}, **(header or {}),
        }  # fmt: skip
        said = {
            "anomalies": [], "fallbacks": 0, "flat": True, "realtime": True, "quotes": "ibkr", "bars_decided": 120,
            "hold_share_pct": "1.5", **outputs,
        }  # fmt: skip
        (self.root / "said.json").write_text(json.dumps({"header": first, "outputs": said, "rest": rest}))
        at = datetime(day.year, day.month, day.day, 16, tzinfo=UTC)
        self._monkeypatch.setattr(SystemClock, "now", lambda _: at)
        (self.root / "now.txt").write_text(at.isoformat())

    def week(self, **changes: Mapping[str, Any]) -> None:
        """Run a session on each day; changes: by name of the day (`d18`), what differs in its header."""
        for day in WEEK:
            self.session(day, changes.get(f"d{day.day}"))

    def look(self, now: datetime = NOW) -> Promotion:
        """Look whether it is ready."""
        return look_at_week(self.root, self.profile, ("SPY", "TSLA"), MODEL, now)

    def limits(self, **changed: str) -> dict[str, Any]:
        """Return a header's profile with changed limits (`risk__collar_bps`)."""
        return {"profile": {"limits": limits_of(self.profile) | {k.replace("__", "."): v for k, v in changed.items()}}}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Return a desk in a repository of its own."""
    with bound_steps():
        records = Records(tmp_path / "project", BOOK)
        records.lab.steps("session", STEPS)
        ensure_key(records.lab.root, records.runs)
        (records.lab.root / ".gitignore").write_text("runs/\n.keys/\nsaid.json\nnow.txt\n__pycache__/\n")
        git(records.lab.root, "init", "-q")
        git(records.lab.root, "add", "-A")
        git(records.lab.root, "commit", "-qm", "one")
        yield Desk(records, monkeypatch)


def test_five_days_in_a_row_are_ready(desk: Desk) -> None:
    """Trading rule 18: a session that counts on each of five exchange days in a row; archived ones as well."""
    desk.week()
    folder = next(path for path in desk.records.runs.iterdir() if path.name.startswith("2026-11-17"))
    archive_run(folder, desk.records.key, SystemClock().now())
    found = desk.look()
    assert (found.known, found.ready, found.in_a_row, found.missing) == (True, True, 5, []), found
    assert [line[:10] for line in found.days] == [str(day) for day in reversed(WEEK)]


def test_weekend_and_a_day_that_has_only_begun_do_not_break_the_row(desk: Desk) -> None:
    """Monday before its session is still ready; Tuesday after a Monday without one is not, and says so."""
    desk.week()
    assert desk.look(now=MONDAY).ready
    late = desk.look(now=datetime(2026, 11, 24, 15, 0, tzinfo=UTC))
    assert (late.ready, late.in_a_row, late.missing[0]) == (False, 0, "5 more exchange days in a row, of 5")
    assert late.missing[1] == "2026-11-23: no sealed session"


def test_holiday_is_no_exchange_day(desk: Desk) -> None:
    """Thanksgiving has no session and breaks nothing; the half day after it counts."""
    for day in (20, 23, 24, 25, 27):
        desk.session(date(2026, 11, day))
    assert desk.look(now=datetime(2026, 11, 27, 22, 0, tzinfo=UTC)).ready


def test_missing_day_is_named(desk: Desk) -> None:
    """A day without a session in the middle leaves the days after it, and says how many more are needed."""
    for day in (16, 17, 19, 20):
        desk.session(date(2026, 11, day))
    found = desk.look()
    assert (found.in_a_row, found.missing) == (
        2,
        ["3 more exchange days in a row, of 5", "2026-11-18: no sealed session"],
    )


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({"realtime": False, "quotes": "dummy"}, "its quotes were not a venue's (dummy)"),
        ({"bars_decided": 39}, "39 bars decided; it takes 40"),
        ({"hold_share_pct": "5.001"}, "a symbol was held 5.001 % of the time"),
        ({"hold_share_pct": "NaN"}, "how often a symbol was held is not known"),
        ({"hold_share_pct": None}, "how often a symbol was held is not known"),
        ({"bars_decided": None}, "None bars decided"),
        ({"anomalies": ["stale"]}, "1 anomalies: stale"),
        ({"fallbacks": 2}, "2 fallbacks"),
        ({"flat": False}, "it did not end flat"),
    ],
)
def test_empty_green_is_not_green(desk: Desk, outputs: dict[str, Any], said: str) -> None:
    """What does not count is named with its run, and ends the row."""
    desk.session(WEEK[3])
    run = desk.session(WEEK[4], **outputs)
    found = desk.look(now=MONDAY)
    assert found.in_a_row == 0
    assert f"{WEEK[4]}: {run}: {said}" in found.missing[1]


def test_limits_at_their_bounds_count(desk: Desk) -> None:
    """Forty bars and five percent are enough."""
    desk.session(WEEK[4], bars_decided=40, hold_share_pct="5.000")
    assert desk.look().in_a_row == 1


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"settings": {"models_enabled": False}}, "models were off"),
        ({"settings": {}}, "models were off"),
        ({"profile": {}}, "what it ran by, or its end, is not on record"),
        ({"profile": []}, "what it ran by, or its end, is not on record"),
        ({"settings": []}, "models were off"),
        ({"symbols": 3}, "what it ran by, or its end, is not on record"),
        ({"model": None}, "what it ran by, or its end, is not on record"),
        ({"profile": {"limits": {"risk.collar_bps": 3}}}, "what it ran by, or its end, is not on record"),
        ({"model": "linear@000000000000"}, f"another model: linear@000000000000, then {MODEL}"),
        ({"symbols": ["SPY"]}, "other symbols: SPY, then SPY, TSLA"),
    ],
)
def test_other_terms_begin_the_week_anew(desk: Desk, header: dict[str, Any], said: str) -> None:
    """Models off, another model, other symbols, or none on record: the days before do not count on."""
    desk.week(d18=header)
    found = desk.look()
    assert found.in_a_row == 2
    assert said in found.missing[1]


def test_tightening_keeps_the_week_and_loosening_begins_it_anew(desk: Desk) -> None:
    """What was looser before keeps the days, what was tighter before does not; costs may move."""
    looser = desk.limits(risk__max_spread_bps="80", risk__slippage_bps="0.1", risk__fee_bps="99")
    desk.week(d16=looser, d17=looser)
    assert desk.look().ready
    desk.session(date(2026, 11, 23), desk.limits(risk__max_spread_bps="51"))
    found = desk.look(now=datetime(2026, 11, 23, 22, 0, tzinfo=UTC))
    assert (found.ready, found.in_a_row) == (False, 1)
    assert "risk.max_spread_bps was loosened from 50 to 51; the week begins anew" in found.missing[1]


def test_profile_that_is_looser_than_its_week_is_not_ready(desk: Desk) -> None:
    """What goes live is the profile of now: its limits may not be looser than those that were proven."""
    tight = desk.limits(risk__per_trade_notional_pct="0.5")
    desk.week(**{f"d{day.day}": tight for day in WEEK})
    found = desk.look()
    assert (found.ready, found.in_a_row) == (False, 0)
    assert "risk.per_trade_notional_pct was loosened from 0.5 to 1" in found.missing[1]


def test_other_code_begins_the_week_anew_and_other_documents_do_not(desk: Desk) -> None:
    """A commit that changes a profile or a document keeps the week; one that changes a step does not, and is named."""
    for day in WEEK[:3]:
        desk.session(day)
    (desk.root / "README.md").write_text("more")
    git(desk.root, "add", "-A")
    git(desk.root, "commit", "-qm", "words")
    for day in WEEK[3:]:
        desk.session(day)
    assert desk.look().ready
    (desk.root / "steps" / "more.py").write_text("")
    assert "no commit holds steps/more.py" in desk.look().missing[0]
    git(desk.root, "add", "-A")
    git(desk.root, "commit", "-qm", "code")
    found = desk.look()
    assert found.in_a_row == 0
    assert "other code since" in found.missing[1]
    assert "steps/more.py" in found.missing[1]


def test_day_with_an_unclean_session_is_spoiled_whatever_else_ran(desk: Desk) -> None:
    """A second session that counts does not heal an anomaly; one that merely does not count harms nothing."""
    desk.week()
    desk.session(WEEK[4], bars_decided=3)
    assert desk.look().ready
    spoiled = desk.session(WEEK[2], anomalies=["UNKNOWN order"])
    found = desk.look()
    assert found.in_a_row == 2
    assert spoiled in found.missing[1]


def test_tampered_record_is_no_evidence(desk: Desk) -> None:
    """A changed artifact spoils its day; a ledger that does not verify spoils all."""
    desk.week()
    record = next(desk.records.runs.glob("2026-11-18*/artifacts/**/session.jsonl"))
    record.write_text(record.read_text().replace("TSLA", "TSLB"))
    found = desk.look()
    assert (found.known, found.ready, found.in_a_row) == (True, False, 2)
    assert "it does not verify" in found.missing[1]
    lines = desk.records.ledger.read_bytes().splitlines(keepends=True)
    desk.records.ledger.write_bytes(b"".join(lines[:3] + lines[4:]))
    found = desk.look()
    assert (found.known, found.ready) == (False, False)
    assert "does not verify" in found.missing[0]


def test_no_records_and_no_repository_are_unknown(tmp_path: Path) -> None:
    """Nothing on record is not ready, in words."""
    found = look_at_week(tmp_path, load_profile(ROOT, "live_canary"), ["SPY"], MODEL, NOW)
    assert (found.known, found.ready, found.missing) == (False, False, ["there are no records yet"])


def test_old_week_does_not_count(desk: Desk) -> None:
    """A week of a month ago is over."""
    desk.week()
    assert desk.look(now=NOW + timedelta(days=40)).in_a_row == 0


def promote(desk: Desk) -> str:
    """Run and seal a promotion; return its run."""
    desk.records.lab.steps(
        "governance",
        """
        from datetime import datetime
        from aurora.engine.context import Context
        from aurora.engine.registry import step
        from aurora.engine.profiles import load_profile
        from aurora.governance.promotion import Promotion, look_at_week
        from pathlib import Path

        @step(repeat="safe")
        def promotion(context: Context[None], root: str) -> Promotion:
            profile = load_profile(Path(root), "live_canary")
            now = datetime.fromisoformat((context.project / "now.txt").read_text())
            return look_at_week(context.project, profile, ["SPY", "TSLA"], "linear@523109187f12", now)
        """,
    )
    desk.records.lab.profile("live_canary", "mode: live\nvenue: account\nsecrets: []\nlimit: 1\n")
    book = """
        params:
          profile: {type: string, default: live_canary}
        steps:
          - {id: week, uses: governance.promotion, with: {root: ROOT}, gate: "missing == []"}
        """.replace("ROOT", str(ROOT))
    desk.records.lab.book(book, "promote")
    git(desk.root, "add", "-A")
    git(desk.root, "commit", "-qm", "promote")
    for day in WEEK:
        desk.session(day)
    return desk.records.run("promote").name


def test_what_was_promoted_stands_until_something_begins_the_week_anew(desk: Desk) -> None:
    """A gap of days takes nothing back; a looser limit, other symbols, another model, other code and time do."""
    before = compare_with_promoted(desk.root, desk.profile, ["SPY", "TSLA"], MODEL, NOW, 30)
    assert (before.known, before.note) == (False, "there are no records yet")
    run = promote(desk)

    def compare(symbols: tuple[str, ...] = ("TSLA", "SPY"), model: str = MODEL, later: int = 10) -> Promoted:
        return compare_with_promoted(desk.root, desk.profile, symbols, model, NOW + timedelta(days=later), 30)

    good = compare()
    assert (good.known, good.changes, good.run) == (True, [], run), good
    assert compare(symbols=("SPY",)).changes == ["other symbols: SPY, TSLA, then SPY; the week begins anew"]
    assert compare(model="linear@1").changes == [f"another model: {MODEL}, then linear@1; the week begins anew"]
    late = compare(later=31)
    assert (late.known, late.changes) == (False, [])
    desk.profile = replace(desk.profile, values=Section(desk.profile.values.plain() | {"capital_usd": 200_000}))
    assert compare().changes == ["capital_usd was loosened from 100000 to 200000; the week begins anew"]
    (desk.root / "steps" / "more.py").write_text("")
    assert "git does not know what changed" in compare().changes[1]


def test_promotion_that_was_red_promotes_nothing(desk: Desk) -> None:
    """Only a green one counts; one that does not verify any more does not either."""
    run = promote(desk)
    desk.session(date(2026, 11, 23), anomalies=["x"])
    desk.records.run("promote")
    later = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
    assert compare_with_promoted(desk.root, desk.profile, ["SPY", "TSLA"], MODEL, later, 30).run == run
    (desk.records.runs / run / "report.md").write_text("green")
    assert not compare_with_promoted(desk.root, desk.profile, ["SPY", "TSLA"], MODEL, later, 30).known


def test_session_without_an_end_does_not_count(desk: Desk) -> None:
    """A record that has no session.closed proves nothing, whatever the step said."""
    desk.session(WEEK[4], rest=[{"type": "poll"}])
    assert "its end, is not on record" in desk.look(now=MONDAY).missing[1]


def test_short_session_today_takes_nothing_back(desk: Desk) -> None:
    """What merely does not count yet today leaves the days before it; an anomaly of today does not."""
    desk.week()
    monday, night = date(2026, 11, 23), datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
    desk.session(monday, bars_decided=3)
    found = desk.look(now=night)
    assert (found.ready, found.days[0][:28]) == (True, "2026-11-23: does not count y")
    desk.session(monday, anomalies=["x"])
    assert desk.look(now=night).in_a_row == 0


class Gone(BaseException):
    """The engine is gone."""


class Dies(Recorder):
    """Ends the engine as a step begins."""

    def on_event(self, event: Event) -> None:
        """Look at an event."""
        super().on_event(event)
        if event.type == "step.started":
            raise Gone


def test_session_that_was_cut_off_spoils_its_day_also_when_it_was_resumed(desk: Desk) -> None:
    """An engine that died in a session leaves a run without a seal: it is named; gone on with, it was begun twice."""
    desk.week()
    desk.prepare(WEEK[4])
    dying = replace(desk.records.desk(), listener=Dies())
    with pytest.raises(Gone):
        start_run(desk.records.lab.project, "book", {"profile": "paper"}, dying)
    found = desk.look()
    assert found.in_a_row == 0
    assert "it is not sealed; go on with it: invoke resume" in found.missing[1]
    desk.records.resume()
    assert "it was begun 2 times: something cut it off" in desk.look().missing[1]
