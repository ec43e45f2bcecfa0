from __future__ import annotations

import hashlib
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from aurora.alerts.log import LOG
from aurora.clock import SystemClock
from aurora.desk import Desk, check_agreement, notify_of, services
from aurora.engine.context import Context
from aurora.engine.faults import RunbookError
from aurora.errors import ProfileError, VenueRefusal
from aurora.ibkr.handshake import ClientIdInUse
from aurora.market.mode import Mode
from aurora.session.services import Services
from tests.ibkr.desk import until
from tests.trading import ScriptedQuotes, give_models, make_profile, write_lean

ROOT = Path(__file__).resolve().parents[1]


def make_desk(project: Path, name: str = "sim", **changes: Any) -> Desk:
    """Return a desk with a shipped profile."""
    return Desk(project, make_profile(name, **changes), {})


def test_factory_makes_the_desk_of_a_step(tmp_path: Path) -> None:
    """The factory that pyproject.toml names gives a step the desk of its project and profile."""
    profile = make_profile("sim")
    context: Context[Services] = Context("r", "s", 1, "t", tmp_path, tmp_path / "artifacts", profile)
    desk = services(context)
    assert (desk.project, desk.profile.name) == (tmp_path, "sim")
    assert desk.kill_switch.flag == tmp_path / "kill.flag"
    assert desk.clock.now().utcoffset() is not None


@pytest.mark.parametrize("name", ["base", "sim", "paper_strict", "paper_account", "live_canary"])
def test_shipped_profiles_agree_with_themselves(name: str) -> None:
    """Trading rule 1: each shipped profile's mode, venue and account agree."""
    check_agreement(make_profile(name))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"live": True}, "live is true and venue is simulated"),
        ({"venue": "live"}, "live is false and venue is live"),
        ({"venue": "live", "live": True, "mode": "paper"}, "mode is paper and venue is live"),
        ({"account": {"dedicated": False}}, "account.dedicated is false"),
        ({"account": {"base_currency": "EUR"}}, "base currency is EUR"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    """Trading rules 1 and 2: a profile whose mode, venue and account contradict each other builds no desk."""
    with pytest.raises(ProfileError) as caught:
        make_desk(tmp_path, **changes)
    assert said in caught.value.what


def test_paper_needs_no_account_of_its_own(tmp_path: Path) -> None:
    """Trading rule 2: only live mode asks for a dedicated account in USD."""
    make_desk(tmp_path, "paper_strict", account={"dedicated": False, "base_currency": "EUR"})


@pytest.mark.parametrize(
    ("venue", "account", "environment", "said"),
    [
        ("paper", "DU1", {}, "IB_PORT was ''"),
        ("paper", "DU1", {"IB_PORT": "7497", "IB_CLIENT_ID": "x"}, "IB_CLIENT_ID was 'x'"),
        ("paper", "DU1", {"IB_PORT": "7496", "IB_CLIENT_ID": "1"}, "the port 7496 is for live accounts"),
        ("paper", "U1", {"IB_PORT": "7497", "IB_CLIENT_ID": "1"}, "the account U1 is no paper account"),
        ("live", "DU1", {"IB_PORT": "7496", "IB_CLIENT_ID": "1"}, "the account DU1 is a paper account"),
        ("live", "U1", {"IB_PORT": "4002", "IB_CLIENT_ID": "1"}, "the port 4002 is for paper accounts"),
        ("live", "U1", {"BROKER": "other", "IB_PORT": "4001", "IB_CLIENT_ID": "1"}, "BROKER is 'other'"),
    ],
)
def test_venue_port_and_account_agree(
    tmp_path: Path, venue: str, account: str, environment: dict[str, str], said: str
) -> None:
    """Trading rule 1: a port or an account of another kind is refused by name, before anything is connected."""
    profile = make_profile(venue=venue, live=venue == "live", mode="live", account={"id": account})
    desk = Desk(tmp_path, profile, environment)
    with pytest.raises(ProfileError, match="Account, port and profile do not agree") as caught:
        desk.open_venue(ExitStack())
    assert said in caught.value.what
    with pytest.raises(ProfileError):
        desk.open_quotes("ibkr")


def test_real_quotes_need_an_account(tmp_path: Path) -> None:
    """`ibkr` on the simulated venue is refused; nothing stands in for it."""
    with pytest.raises(ProfileError, match="no account at IBKR"):
        make_desk(tmp_path).open_quotes("ibkr")


def test_only_a_live_session_takes_the_id_that_sends(tmp_path: Path, start_gateway: Any) -> None:
    """Trading rule 4: quotes of a live session come by IB_CLIENT_ID, all others beside it; checks have a third id."""
    gateway = start_gateway({"scenario": "ids"})
    profile = make_profile(venue="paper", mode="live", account={"id": "DU1234567"})
    desk = Desk(tmp_path, profile, {"IB_PORT": str(gateway.port), "IB_CLIENT_ID": "20"})

    def clients() -> list[int]:
        return [session.client_id for session in gateway.call(gateway.gateway.all_sessions)]

    with ExitStack() as stack:
        for take, expected in (
            (lambda: desk.open_quotes("ibkr"), [24]),
            (lambda: desk.open_quotes("ibkr", Mode.LIVE), [20, 24]),
            (lambda: desk.open_probe(stack)[1], [20, 22, 24]),
        ):
            stack.callback(take().close)
            assert clients() == expected
    until(lambda: clients() == [], "the end of all")


def test_looks_at_the_venue_take_turns(tmp_path: Path, start_gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trading rule 4: steps side by side look by one client id; the second waits for the first, not for ever."""
    gateway = start_gateway({"scenario": "turns"})
    profile = make_profile(venue="paper", mode="live", account={"id": "DU1234567"})
    first, second = (Desk(tmp_path, profile, {"IB_PORT": str(gateway.port), "IB_CLIENT_ID": "20"}) for _ in range(2))
    waits = threading.Event()

    class Seen(SystemClock):
        def sleep(self, seconds: float) -> None:
            waits.set()
            super().sleep(seconds)

    second.clock = Seen()
    with ThreadPoolExecutor(1) as beside, ExitStack() as its:
        with ExitStack() as stack:
            first.open_venue(stack)
            monkeypatch.setattr("aurora.desk.TURN_S", 0.5)
            with pytest.raises(ClientIdInUse):
                second.open_venue(its)
            monkeypatch.setattr("aurora.desk.TURN_S", 30.0)
            waits.clear()
            looked = beside.submit(lambda: second.open_venue(its).positions())
            assert waits.wait(30)
        assert looked.result(60) == ()


def test_account_that_is_flat_can_be_exited(tmp_path: Path, start_gateway: Any) -> None:
    """A flatten of an account that holds nothing connects, and asks for quotes of nothing."""
    gateway = start_gateway({"scenario": "flat"})
    profile = make_profile(venue="paper", mode="live", account={"id": "DU1234567"})
    desk = Desk(tmp_path, profile, {"IB_PORT": str(gateway.port), "IB_CLIENT_ID": "20"})
    with ExitStack() as stack:
        broker, quotes = desk.open_account(stack)
        assert (broker.positions(), dict(quotes.poll())) == ((), {})


def test_flatten_cancels_before_it_asks_for_anything(tmp_path: Path, start_gateway: Any) -> None:
    """Trading rules 21, 22: the first request on a flatten's line is the global cancel; a plan sends none."""
    gateway = start_gateway({"scenario": "flat"})
    came: list[str] = []
    around = gateway.gateway.faults.around

    def note(client: Any, request: str, *more: Any) -> None:
        came.append(request)
        around(client, request, *more)

    gateway.gateway.faults.around = note
    profile = make_profile(venue="paper", mode="live", account={"id": "DU1234567"})
    desk = Desk(tmp_path, profile, {"IB_PORT": str(gateway.port), "IB_CLIENT_ID": "20"})
    with ExitStack() as stack:
        desk.open_account(stack, cancels=True)
    assert [request for request in came if request != "start_api"][:2] == ["req_global_cancel", "req_all_open_orders"]
    came.clear()
    with ExitStack() as stack:
        desk.open_account(stack)
    assert "req_global_cancel" not in came


def test_venue_that_nothing_listens_at_is_refused(tmp_path: Path) -> None:
    """Nothing at the port is refused in words, in live mode; paper and shadow keep a book of their own."""
    profile = make_profile(venue="paper", mode="live", account={"id": "DU1"})
    desk = Desk(tmp_path, profile, {"IB_PORT": "9", "IB_CLIENT_ID": "1"})
    with pytest.raises(VenueRefusal, match="nothing listens there"):
        desk.open_broker(Mode.LIVE, ScriptedQuotes())
    assert desk.open_broker(Mode.SHADOW, ScriptedQuotes()).name == "simulated"


def test_live_session_asks_for_a_live_profile(tmp_path: Path) -> None:
    """Trading rule 1: a live session needs a profile with mode: live; paper and shadow send nothing and need none."""
    desk = make_desk(tmp_path, "paper_strict")
    with pytest.raises(ProfileError, match="is for paper"):
        desk.open_broker(Mode.LIVE, ScriptedQuotes())
    for mode in (Mode.PAPER, Mode.SHADOW):
        assert desk.open_broker(mode, ScriptedQuotes()).name == "simulated"


def test_each_session_has_a_book_of_its_own(tmp_path: Path) -> None:
    """Trading rule 16: a session's book starts flat and is nobody else's."""
    desk, source = make_desk(tmp_path), ScriptedQuotes()
    assert desk.open_broker(Mode.PAPER, source) is not desk.open_broker(Mode.PAPER, source)


def test_recordings_are_found_from_the_project(tmp_path: Path) -> None:
    """A path in a quote source is relative to the project, wherever the command was typed."""
    write_lean(tmp_path / "data", seconds=400)
    assert make_desk(tmp_path).open_quotes("replay:data").name == "replay:data"


def test_strategy_is_the_profiles(tmp_path: Path) -> None:
    """The strategy and its size come from the profile; one that there is not is refused by name."""
    strategy = make_desk(give_models(tmp_path), models={"max_weight_pct": 2}).strategy()
    features = {"return_1_bps": 0.0, "return_5_bps": 1000.0, "volatility_10_bps": 0.0}
    assert float(strategy.weight(features)) == pytest.approx(0.02)
    assert strategy.name.startswith("linear@")
    with pytest.raises(ProfileError, match="'oracle'"):
        make_desk(tmp_path, models={"name": "oracle"}).strategy()
    (tmp_path / "profiles/models.yaml").write_text("linear: {kind: linear, kind: attribute}\n")
    with pytest.raises(RunbookError):
        make_desk(tmp_path).strategy()


def test_a_run_without_a_record_is_told_urgently(tmp_path: Path) -> None:
    """What the engine can't write down is told by the alerts of the run's profile; `sim` writes it to its log."""
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    delivery = notify_of(tmp_path, "sim", "go-live goes on without a record", "The journal can't be written.")
    assert not delivery.delivered  # a file on this machine tells nobody
    line = json.loads((tmp_path / LOG).read_text())
    assert (line["title"], line["priority"]) == ("go-live goes on without a record", "urgent")


def test_every_alert_ends_with_the_head_of_the_ledger(tmp_path: Path) -> None:
    """Where there is a ledger, its head stands below each alert, however long its text, and only once."""
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runs").mkdir()
    line = b'{"seq":7}\n'
    (tmp_path / "runs/ledger.jsonl").write_bytes(line)
    (tmp_path / "pyproject.toml").write_text('[tool.aurora]\ndesk = "north"\n')
    head = f"aurora north 7 {hashlib.sha256(line).hexdigest()}"
    for text in ("locked out", "é" * 5_000, f"green\n{head}"):
        notify_of(tmp_path, "sim", "title", text)
        told = json.loads((tmp_path / LOG).read_text().splitlines()[-1])["text"]
        assert told.endswith(f"\n{head}")
        assert told.count(head) == 1
        assert len(told.encode()) <= 4_000
    (tmp_path / "pyproject.toml").write_text("[tool.aurora]\ndesk = 7\n")  # settings that are wrong stop no alert
    notify_of(tmp_path, "sim", "title", "locked out")
    assert f" 7 {hashlib.sha256(line).hexdigest()}" in json.loads((tmp_path / LOG).read_text().splitlines()[-1])["text"]


def test_spacing_of_messages_is_the_profiles(tmp_path: Path) -> None:
    """The least time between two messages to the venue is the profile's, in every client id's connection."""
    profile = make_profile(venue="paper", account={"id": "DU1"}, session={"message_spacing_ms": 250})
    desk = Desk(tmp_path, profile, {"IB_HOST": "127.0.0.1", "IB_PORT": "7497", "IB_CLIENT_ID": "11"})
    assert desk._account(3).connection.address.spacing_s == 0.25
    desk._account(3).close()
