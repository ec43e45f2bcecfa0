"""Each guard of a session taken away in turn: the test that is named beside it fails, so that none is there for show.

The guards of the router are in tests/execution/test_guards.py.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from math import inf
from pathlib import Path
from typing import Any

import pytest

from aurora.brokers.simulated import SimulatedBroker
from aurora.execution import order_journal
from aurora.risk.circuit_breaker import CircuitBreaker
from aurora.risk.halts import HaltWatch
from aurora.risk.kill_switch import KillSwitch
from aurora.risk.link_watch import LinkWatch
from aurora.risk.lockout import Lockout
from aurora.session import deciding, judging, loop
from aurora.session import run as runner
from aurora.session.accounting import Accounts
from aurora.session.bars import Bars
from aurora.session.deciding import Decider
from aurora.session.outcry import Outcry
from tests.session import (
    test_bad_input,
    test_day,
    test_deciding,
    test_heartbeat,
    test_judging,
    test_lockouts,
    test_loop,
)

Guard = tuple[object, str, object]


def does_nothing(*_: Any, **__: Any) -> None:
    """Guard nothing."""


def finds_nothing(*_: Any, **__: Any) -> tuple[()]:
    """Find nothing wrong."""
    return ()


def holds_no_lock(folder: Path) -> Callable[[], None]:
    """Make the journal's folder, and hold no lock on it."""
    folder.mkdir(parents=True, exist_ok=True)
    return does_nothing


LOSS: dict[str, Any] = {
    "risk": {"daily_loss_limit_pct": Decimal("0.01")},
    "said": "loss of the day 11.05 USD, limit 10.00 USD",
}
MUTANTS: list[tuple[Guard, Callable[..., None], dict[str, Any]]] = [
    ((judging, "check_quote", finds_nothing), test_bad_input.test_bad_quote_holds_its_symbol, {"name": "crossed"}),
    ((judging, "check_sequence", finds_nothing), test_bad_input.test_quote_out_of_order_is_held, {}),
    ((judging, "CLOCK_JUMP_S", inf), test_bad_input.test_clock_that_jumps_locks_out, {"seconds": -3}),
    ((HaltWatch, "note_halt", does_nothing), test_judging.test_halt_between_two_polls_counts, {}),
    ((HaltWatch, "check", lambda _, __, holds, ___: tuple(holds)),
     test_judging.test_halt_holds_for_a_minute_after_its_end, {}),
    ((LinkWatch, "check", finds_nothing), test_judging.test_line_down_for_15_seconds_locks_out, {}),
    ((LinkWatch, "check", finds_nothing), test_judging.test_delayed_data_locks_out, {}),
    ((CircuitBreaker, "count_gap", does_nothing), test_judging.test_loop_that_stands_still_locks_out, {}),
    ((CircuitBreaker, "count_ticks", does_nothing), test_loop.test_silence_of_all_symbols_locks_out, {}),
    ((CircuitBreaker, "_judge", does_nothing), test_loop.test_same_hold_five_polls_running_locks_out, {}),
    ((CircuitBreaker, "_judge", does_nothing), test_loop.test_too_many_holds_lock_out, {}),
    ((CircuitBreaker, "add_hold", does_nothing), test_deciding.test_weight_that_jumps_each_bar_locks_out, {}),
    ((CircuitBreaker, "trip", does_nothing), test_loop.test_reject_locks_out, {}),
    ((CircuitBreaker, "trip", does_nothing), test_day.test_foreign_execution_locks_the_session_out, {}),
    ((deciding, "check_weight", finds_nothing), test_deciding.test_weight_that_jumps_is_held_for_a_bar, {}),
    ((Decider, "_weight", lambda self, features: self._strategy.weight(features)),
     test_loop.test_model_without_an_answer_is_a_fallback,
     {"answer": lambda: Decimal(2), "said": "model fallback: SPY: ValueError: the weight was 2, it is -1 to 1"}),
    ((Bars, "is_warm", lambda *_: True), test_loop.test_steps_count_after_the_warm_up, {}),
    ((Accounts, "check_losses", does_nothing), test_loop.test_loss_beyond_its_limit_locks_out, LOSS),
    ((loop, "REDUCING_POLLS", 0), test_loop.test_last_three_polls_only_reduce, {}),
    ((KillSwitch, "is_set", False), test_loop.test_kill_flag_halts_before_the_next_poll, {}),
    ((KillSwitch, "is_set", False), test_loop.test_kill_is_seen_while_waiting, {}),
    ((SimulatedBroker, "cancel_all", does_nothing), test_loop.test_kill_cancels_what_is_in_flight, {}),
    ((Lockout, "require_none", does_nothing), test_lockouts.test_anomaly_locks_live_out_on_disk, {}),
    ((Lockout, "stands", False), test_lockouts.test_lock_of_another_session_stops_this_one, {}),
    ((Outcry, "lock_out", does_nothing), test_lockouts.test_lock_is_there_before_the_flatten, {}),
    ((runner, "require_dead_man", does_nothing), test_heartbeat.test_real_money_asks_for_a_dead_man, {"address": ""}),
    ((runner, "learn_the_truth", lambda *_: []), test_day.test_session_first_learns_what_became_of_open_orders, {}),
    ((order_journal, "_lock", holds_no_lock), test_day.test_session_at_the_same_time_is_refused, {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("guard", "test", "values"),
    [pytest.param(*row, id=f"{row[0][1]}-{row[1].__name__.removeprefix('test_')}") for row in MUTANTS],
)
def test_session_without_a_guard_fails_a_test(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    guard: Guard,
    test: Callable[..., None],
    values: dict[str, Any],
) -> None:
    """With the guard the named test passes, without it that very test fails."""
    if test is test_loop.test_reject_locks_out:
        test_loop.drain_poor_accounts(monkeypatch)
    (tmp_path / "with").mkdir()
    test(tmp_path / "with", **values)
    monkeypatch.setattr(*guard)
    (tmp_path / "without").mkdir()
    with pytest.raises((AssertionError, LookupError, ValueError, pytest.fail.Exception)):
        test(tmp_path / "without", **values)
