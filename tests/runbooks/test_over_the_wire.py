"""`preflight` and `warmup` of the live profile over a simulated gateway: the code that a real account runs on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.kit import is_installed
from tests.runbooks.wire import ACCOUNT, WiredDesk, gateway, seconds_until, wired_desk

pytestmark = pytest.mark.skipif(
    not (is_installed("ib_async") or is_installed("ib_insync")), reason="no client of Interactive Brokers is installed"
)
PREFLIGHT = (
    "runbook", "preflight", "--profile", "live_canary", "--quotes", "ibkr", "--symbols", "SPY", "--no-before-live",
)  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[WiredDesk]:
    """Return a desk on a trading day at 10:30 in New York."""
    with wired_desk(tmp_path, seconds_until(10, 30)) as made:
        yield made


def settings(**more: Any) -> dict[str, Any]:
    """Return a gateway whose account is the desk's and whose clock is the machine's."""
    return {"settings": {"account": ACCOUNT, "wall_clock": True, **more}}


def test_live_profile_warms_up_over_the_wire(desk: WiredDesk) -> None:
    """live_canary's warmup, preflight included, is green on a good gateway: every probe is made, nothing is sent."""
    with gateway(desk, settings()) as port:
        words = ("--profile", "live_canary", "--quotes", "ibkr", "--steps", "3", "--poll-sec", "0.25")
        done = desk.aurora("runbook", "warmup", *words, IB_PORT=port)
    assert done.returncode == 0, done.stdout + done.stderr
    ends = desk.ends()
    # what only comes after warm-ups has its turn in go-live's preflight
    assert {name for name, end in ends.items() if end["status"] != "passed"} == {
        "preflight/week",
        "preflight/warmed_up",
        "preflight/promoted",
        "preflight/proven_on_paper",
    }
    assert ends["preflight/api"]["outputs"]["broker"] == f"ibkr {ACCOUNT}"
    assert ends["preflight/orders_taken"]["outputs"] == {"probed": ["SPY", "TSLA"], "open_orders": 0, "problems": []}
    assert (ends["shadow"]["outputs"]["realtime"], ends["shadow"]["outputs"]["orders_sent"]) == (True, 0)
    assert ends["reconcile"]["outputs"]["flat"] is True


SKEW = {"rules": [{"at_s": 0, "do": [{"clock_skew": {"by_s": 90}}]}]}
COMPETING = {"rules": [{"at_s": 0, "do": [{"data": {"state": "competing"}}]}]}
ORDER = {"symbol": "SPY", "side": "BUY", "quantity": 5, "limit": 90}


@pytest.mark.parametrize(
    ("scenario", "step", "said"),
    [
        pytest.param(settings(read_only=True), "orders_taken", "clear Read-Only API", id="read-only"),
        pytest.param(settings(account="U999"), "api", "manages U999; the profile's account is U1234567", id="account"),
        pytest.param(settings(entitled=False), "market_data", "354: Requested market data is not", id="delayed"),
        pytest.param({**settings(), **SKEW}, "venue_clock", "set the machine's clock", id="clock"),
        pytest.param({**settings(), **COMPETING}, "market_data", "end the other login", id="competing"),
    ],
)
def test_set_up_that_is_wrong_is_red_and_says_what_to_click(
    desk: WiredDesk, scenario: dict[str, Any], step: str, said: str
) -> None:
    """Each setting of TWS that can be probed makes preflight red (exit 2), at its own step and in words."""
    with gateway(desk, scenario) as port:
        done = desk.aurora(*PREFLIGHT, IB_PORT=port)
    assert (done.returncode, desk.ends()[step]["status"]) == (2, "red"), done.stdout + done.stderr
    assert said in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        pytest.param({}, "nothing listens there; start TWS or IB Gateway", id="nothing listens"),
        pytest.param({"IB_PORT": "7497"}, "the port 7497 is for paper accounts", id="paper port"),
        pytest.param(
            {"IB_ACCOUNT": "DU1"}, "the account DU1 is a paper account, and venue is live", id="paper account"
        ),
    ],
)
def test_address_that_is_wrong_is_one_red_step(desk: WiredDesk, variables: dict[str, str], said: str) -> None:
    """Where nothing usable answers, one step says so, and no other step of the venue's is tried."""
    done = desk.aurora(*PREFLIGHT, **variables)
    ends = desk.ends()
    assert (done.returncode, ends["api"]["status"]) == (2, "red"), done.stdout + done.stderr
    assert said in ends["api"]["outputs"]["problems"][0]
    others = ("venue_clock", "market_data", "terms", "orders_taken", "broker", "caps", "quotes")
    assert {ends[name]["status"] for name in others} == {"omitted"}


def session(desk: WiredDesk, port: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a session by hand on the account's quotes."""
    given = ("session", "--quotes", "ibkr", "--symbols", "SPY", "--poll-sec", "0.25", "--steps", "3")
    return desk.aurora(*given, *words, IB_PORT=port, **variables)


def test_paper_and_shadow_sessions_run_on_the_accounts_quotes(desk: WiredDesk) -> None:
    """`invoke session --quotes ibkr` fills by itself or sends nothing; the venue's book stays as it was."""
    profile = desk.root / "profiles/by_hand.yaml"
    profile.write_text("extends: base\nvenue: paper\naccount: {id: env:IB_ACCOUNT}\n")
    with gateway(desk, settings(account="DU7")) as port:
        for words in (("--profile", "by_hand"), ("--profile", "by_hand", "--shadow")):
            done = session(desk, port, *words, IB_ACCOUNT="DU7")
            assert done.returncode == 0, done.stdout + done.stderr
        looked = desk.aurora("reconcile", "--profile", "by_hand", "--dry-run", IB_PORT=port, IB_ACCOUNT="DU7")
    assert looked.returncode == 0, looked.stdout + looked.stderr
    results = [json.loads(path.read_text())["result"] for path in (desk.root / "sessions").glob("*/summary.json")]
    assert sorted(each["mode"] for each in results) == ["paper", "shadow"]
    for each in results:
        assert (each["quotes"], each["realtime"], each["steps"], each["anomalies"]) == ("ibkr", True, 3, [])


def test_session_on_a_closed_market_says_so(desk: WiredDesk) -> None:
    """After the close there is no trading to be had, whatever the quotes say: exit 2, in words, and no session."""
    later = {"AURORA_AHEAD_S": str(seconds_until(18, 0))}
    with gateway(desk, settings()) as port:
        done = session(desk, port, "--profile", "live_canary", "--shadow", **later)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "no trading to be had" in done.stderr
    (summary,) = (desk.root / "sessions").glob("*/summary.json")
    assert json.loads(summary.read_text())["result"] is None
