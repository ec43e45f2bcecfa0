"""A simulated day: one account at a gateway on real sockets, sessions with their fates, and what the venue saw of it.

    World(seed, folder).live() → the venue's own books and what arrived at it, for `invariants`

Everything is drawn from the seed: quotes, faults, the strategy's wishes, kills and crashes. All of it lives in one
event loop of virtual time.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

from aurora.alerts.base import Alert, Delivery
from aurora.brokers.base import Broker, ProbedBroker
from aurora.errors import AuroraError
from aurora.execution.account_exit import AccountExit
from aurora.execution.flatten import Flattening
from aurora.execution.order_journal import Book, OrderJournal, read_day
from aurora.execution.trading_day import TradingDay
from aurora.gateway.faults import open_gateway
from aurora.gateway.gateway import Gateway
from aurora.gateway.orders import VenueOrder
from aurora.gateway.scenario import build_scenario
from aurora.gateway.server import Server
from aurora.gateway.session import Session as Client
from aurora.grant import Grant
from aurora.ibkr.account import Account
from aurora.ibkr.address import Address
from aurora.market.mode import Mode
from aurora.profile import Profile
from aurora.quotes.base import QuoteSource
from aurora.quotes.dummy import DummyQuotes
from aurora.risk.kill_switch import KillSwitch
from aurora.risk.lockout import Lockout
from aurora.session.result import SessionResult
from aurora.session.run import Attempt, run_session
from aurora.session.settings import SessionRequest, order_limits
from tests.simulation.faults import Fate, draw_fate, draw_rules
from tests.simulation.virtual_time import VirtualClock, VirtualHost, VirtualLoop
from tests.trading import make_profile

ACCOUNT = "DU1234567"
CLIENT_ID = 11
START = datetime(2026, 1, 5, 14, 35, tzinfo=UTC)
SYMBOLS = ("SPY", "TSLA")
STEP_S = 0.1
LASTS_S = 120.0
CALM_S = 60.0
PATIENCE_S = 900.0


class Killed(BaseException):
    """The process was killed here: nothing of it runs any more."""


class OddAnswer(Exception):
    """What the strategy raised."""


@dataclass(frozen=True)
class Arrival:
    """An order as it came to the venue: when, what it was for, and what the account had then.

    at_s: when its bytes came. taken_s: when the venue took it, perhaps later. working: what other orders of the symbol
    may still trade, signed.
    """

    at_s: float
    order: VenueOrder
    held: int
    working: int
    gross_usd: Decimal
    fees_usd: Decimal

    @property
    def opens(self) -> bool:
        """Return whether it could take the position further from zero, or through it."""
        shares = self.order.terms.quantity
        free = self.held + (self.working if self.working * self.held < 0 else 0)
        return self.order.side.sign * free >= 0 or shares > abs(free)


@dataclass
class Whims:
    """A strategy that wants what its seed says, and now and then has no answer."""

    random: random.Random
    odd_at: int = 0
    name: str = "whims"
    asked: int = 0

    def features(self, mids: Sequence[float]) -> Mapping[str, float]:
        return {"mid": mids[-1]}

    def weight(self, features: Mapping[str, float]) -> Decimal:
        self.asked += 1
        if self.asked == self.odd_at:
            if self.random.random() < 0.5:
                raise OddAnswer("no answer")
            return Decimal("NaN")
        return self.random.choice([Decimal(0), Decimal("0.005"), Decimal("0.01"), Decimal("0.01")])


ACTS = ("place_order", "cancel", "cancel_all", "refresh")
"""What a process may be killed before or after, but for the lines of its order journal."""


class Mortal:
    """A broker that a process calls until it is killed: at the act that its fate names, and never again."""

    def __init__(self, broker: Any, acted: Callable[[bool], contextlib.AbstractContextManager[None]]) -> None:
        self._broker = broker
        self._acted = acted

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._broker, name)
        if not callable(value):
            return value

        def call(*given: Any) -> Any:
            with self._acted(name in ACTS):
                return value(*given)

        return call


@dataclass
class Services:
    """What a session asks of the desk; `World` gives it."""

    world: World
    profile: Profile
    model: Whims
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def project(self) -> Path:
        return self.world.project

    @property
    def clock(self) -> VirtualClock:
        return self.world.clock

    @property
    def kill_switch(self) -> KillSwitch:
        return self.world.kill_switch

    def open_quotes(self, spec: str, mode: Mode = Mode.SHADOW) -> QuoteSource:
        return self.world.account().quotes()

    def open_broker(self, mode: Mode, source: QuoteSource) -> Broker:
        return Mortal(self.world.account().broker(), self.world.act)

    def open_venue(self, stack: ExitStack) -> Broker:
        raise NotImplementedError

    def open_probe(self, stack: ExitStack) -> tuple[ProbedBroker, QuoteSource]:
        raise NotImplementedError

    def open_account(self, stack: ExitStack, *, cancels: bool = False) -> tuple[Broker, QuoteSource]:
        raise NotImplementedError

    def open_observer(self, stack: ExitStack) -> Broker:
        raise NotImplementedError

    def strategy(self) -> Whims:
        return self.model

    def notify(self, alert: Alert) -> Delivery:
        self.world.alerts.append(alert.text)
        return Delivery(True, "")

    def telling(self, title: str, text: str) -> Sequence[str]:
        return ()


@dataclass
class Life:
    """What became of one session: its result, what it was refused or killed by, and when it was over."""

    fate: Fate
    began_s: float
    result: SessionResult | None = None
    refused: str = ""
    killed: bool = False
    ended_s: float = 0.0
    held: dict[str, int] = field(default_factory=dict)


class World:
    """A day, from its seed. `live` plays it to its end: after it the account has to be flat."""

    def __init__(self, seed: int, project: Path) -> None:
        self.seed = seed
        self.project = project
        self.random = random.Random(seed)
        random.seed(seed)  # the pauses between attempts to connect are the library's own chance
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop, START)
        self.kill_switch = KillSwitch(project)
        self.lockout = Lockout(project, Mode.LIVE)
        self.alerts: list[str] = []
        self.arrivals: list[Arrival] = []
        self.odd: list[str] = []
        """What went wrong with the desk itself."""
        self.lives: list[Life] = []
        self.forbidden: list[tuple[float, float, str]] = []
        """From when to when nothing may have been opened, and why."""
        self._accounts: list[Account] = []
        self._acts = 0
        self._dead = False
        self._fate = Fate(0)
        self._came: dict[tuple[int, int], float] = {}
        self._timers: list[asyncio.TimerHandle] = []
        self.profile = self._draw_profile()
        self.limits = order_limits(self.profile, Decimal(100_000))
        self.rules = draw_rules(self.random, LASTS_S)
        self.gateway = self._open_gateway()
        self.server = Server(self.gateway)
        self.loop.run_until_complete(self.server.start())
        self._pacing = self.loop.create_task(self._pace())

    # what there is

    def _draw_profile(self) -> Profile:
        risk = {
            "notional_daily_cap_pct": self.random.choice((6, 60, 90, 90)),
            "max_session_turnover_pct": 90,
            "max_orders_per_min": self.random.choice((5, 60, 60, 60)),
            "max_gross_exposure_pct": self.random.choice((1.5, 10, 10, 10)),
            "daily_fee_cap_usd": self.random.choice((8, 200, 200, 200)),
            "breaker": {"same_hold_polls": self.random.choice((5, 20)), "hold_share_pct": self.random.choice((10, 60))},
        }
        more = {"on_kill": self.random.choice(("hold", "flatten"))}
        return make_profile("sim", venue="paper", account={"id": ACCOUNT}, risk=risk, **more)

    def _open_gateway(self) -> Gateway:
        source = DummyQuotes(self.seed, gaps_per_hour=self.random.choice((0.0, 20.0)))
        file = {"scenario": f"seed {self.seed}", "seed": self.seed, "rules": self.rules}
        gateway = open_gateway(source, SYMBOLS, build_scenario(file, "the drawn scenario"))
        self._watch(gateway)
        return gateway

    def _watch(self, gateway: Gateway) -> None:
        """Note each order as its bytes come, and as the venue takes it."""
        around, place = gateway.faults.around, gateway.venue.place

        def around_and_note(client: Client, request: str, values: list[str], handle: Callable[[], None]) -> None:
            if request == "place_order":
                self._came[client.client_id, int(values[0])] = self.loop.time()
            around(client, request, values, handle)

        def place_and_note(order: VenueOrder) -> None:
            venue = gateway.venue
            if order.client_id != CLIENT_ID:  # a person's
                place(order)
                return
            symbol = order.listing.symbol
            ours = [each for each in venue.working() if each.client_id == CLIENT_ID]
            working = sum(each.side.sign * each.remaining for each in ours if each.listing.symbol == symbol)
            gross = sum((abs(held.quantity) * held.average_cost for held in venue.account.positions()), Decimal(0))
            fees = sum((fill.commission for fill in venue.executions), Decimal(0))
            came_s = self._came[order.client_id, order.order_id]
            self.arrivals.append(
                Arrival(came_s, order, venue.account.held(symbol).quantity, working, gross, fees)
            )  # fmt: skip
            place(order)

        gateway.faults.around = around_and_note  # type: ignore[assignment,method-assign]
        gateway.venue.place = place_and_note  # type: ignore[method-assign]

    async def _pace(self) -> None:
        while True:
            await asyncio.sleep(STEP_S)
            self.gateway.step(STEP_S)

    def held(self) -> dict[str, int]:
        """Return what the venue's own book holds."""
        return {held.symbol: held.quantity for held in self.gateway.venue.account.positions() if held.quantity}

    def account(self) -> Account:
        """Return the account by the client id that sends, connected once a session."""
        if not self._accounts or self._accounts[-1].is_closed:
            address = Address("127.0.0.1", self.server.port, CLIENT_ID, ACCOUNT)
            self._accounts.append(Account(address, VirtualHost(self.loop), self.clock))
        return self._accounts[-1]

    @property
    def book(self) -> Book:
        """Whose order journal the day's orders are in."""
        return Book(Mode.LIVE, "paper", ACCOUNT, START.date())

    # what happens

    def live(self) -> World:
        """Play the day: sessions one after another, a flatten; then all faults end, and another flatten."""
        try:
            for number in range(self.random.randint(1, 3)):
                self._session(number)
                self._tidy()
            self._flatten_among_faults()
            self._calm()
            self.last = self._flatten(PATIENCE_S)
        finally:
            self._pacing.cancel()
            for account in self._accounts:
                account.close()
            self.loop.run_until_complete(self.server.stop())
            self.loop.run_until_complete(asyncio.sleep(0))
            self.loop.close()
        return self

    def _session(self, number: int) -> None:
        self._fate, self._acts, self._intents, self._dead = draw_fate(self.random), 0, 0, False
        fate = self._fate
        life = Life(fate, self.loop.time())
        self.lives.append(life)
        odd = Whims(random.Random(self.random.random()), fate.odd_answer_at)
        services = Services(self, self.profile, odd)
        id_ = f"{self.seed}-{number}"
        stop_at_s = life.began_s + fate.stop_s if fate.stop_s else float("inf")
        attempt = Attempt(
            id_, self.project / id_, is_stopping=lambda: self.loop.time() >= stop_at_s,
            grant=Grant(id_, self.profile.digest, "paper", {}),
        )  # fmt: skip
        request = SessionRequest(Mode.LIVE, SYMBOLS, "ibkr", steps=fate.steps, poll_sec=Decimal(1))
        self._set_timers(fate)
        try:
            with self._watched_process():
                life.result = run_session(services, request, attempt)
        except Killed:
            life.killed = True
        except AuroraError as error:
            life.refused = f"{type(error).__name__}: {error}"
        except Exception as error:  # noqa: BLE001 - whatever it is: no fault, no exception of a model may end a session
            self.odd.append(f"a session ended by a fault: {type(error).__name__}: {error}")
        life.ended_s = self.loop.time()
        life.held = self.held()
        for timer in self._timers:
            timer.cancel()
        if self._accounts:
            self._accounts[-1].close()

    def _set_timers(self, fate: Fate) -> None:
        self._timers = []
        if fate.kill_s:
            self._timers.append(self.loop.call_later(fate.kill_s, self._kill))
        if fate.clock_s:
            self._timers.append(self.loop.call_later(fate.clock_s, setattr, self.clock, "set_by_s", fate.clock_by_s))

    def _kill(self) -> None:
        self.kill_switch.set("the simulation")
        self.forbidden.append((self.loop.time(), float("inf"), "the kill flag stood"))

    def _tidy(self) -> None:
        """Let a person come: minutes later the flag is cleared, the lockout lifted, the clock set right."""
        life = self.lives[-1]
        locked = self.lockout.stands
        if locked or self.kill_switch.is_set:
            self._is_refused()
        self.clock.sleep(self.random.uniform(1, 60))
        self.forbidden.append((life.ended_s, self.loop.time(), "no session ran"))
        self.forbidden = [(since, min(until, self.loop.time()), why) for since, until, why in self.forbidden]
        self.kill_switch.flag.unlink(missing_ok=True)
        if locked:
            self.lockout.lift("simulated", None, "the simulation", self.clock)
        self.clock.set_by_s = 0.0

    def _is_refused(self) -> None:
        """A session that begins while flag or lock stand is refused."""
        count = len(self.lives)
        self._session(count + 100)
        life = self.lives.pop()
        if not life.refused.startswith("SafetyStop"):
            self.odd.append(f"a session was not refused: {life}")

    def _calm(self) -> None:
        """End all faults."""
        gateway = self.gateway
        gateway.faults._bends.clear()  # type: ignore[attr-defined]
        gateway.faults._rules = ()  # type: ignore[attr-defined]
        gateway.timers._waiting.clear()
        gateway.timers.after(1, gateway._refresh_accounts)
        gateway.feed.bent.clear()
        gateway.feed.volume_only, gateway.farm_up, gateway.closed_for_restart = False, True, False
        if not gateway.link_up:
            gateway.link_restored(lost=True)
        assert gateway.drop_connections is not None
        gateway.drop_connections("sockets that are open on one side only are given up")
        self.clock.sleep(CALM_S)

    def _flatten_among_faults(self) -> None:
        """Flatten while the faults go on; sometimes its process is killed, and another one has to go on."""
        dies_at = self.random.randint(1, 40) if self.random.random() < 0.5 else 0
        self._fate = Fate(0, dies_at=dies_at, dies_before=self.random.random() < 0.5)
        self._acts, self._intents, self._dead = 0, 0, False
        try:
            with self._watched_process():
                done = self._flatten(self.random.uniform(5, 90))
            if done.flat and not done.drift and self.held():
                self.odd.append(f"a flatten said that it was flat, and the venue held {self.held()}")
        except Killed:
            pass
        finally:
            self._fate, self._dead = Fate(0), False
            if self._accounts:
                self._accounts[-1].close()

    def _flatten(self, patience_s: float) -> Flattening:
        began_s = self.loop.time()

        def open_venue(stack: ExitStack) -> tuple[Broker, QuoteSource]:
            account = self.account()
            account.cancel_first()
            broker = account.broker()
            stack.callback(account.close)
            return Mortal(broker, self.act), account.quotes()

        self.forbidden.append((began_s, float("inf"), "it was being flattened"))
        self.said: list[str] = []
        return AccountExit(
            self.project, self.book, self.clock, open_venue, self.said.append, self.said.append, patience_s=patience_s
        ).run()

    # being killed

    @contextlib.contextmanager
    def act(self, counts: bool = True) -> Iterator[None]:
        """One act of the session's process; its fate may kill it before or after one that counts."""
        if self._dead:
            raise Killed
        if not counts:
            yield
            return
        self._acts += 1
        mine = self._acts
        if mine == self._fate.dies_at and self._fate.dies_before:
            self._dead = True
            raise Killed
        yield
        if mine == self._fate.dies_at:
            self._dead = True
            raise Killed

    @contextlib.contextmanager
    def _watched_process(self) -> Iterator[None]:
        write, lock = OrderJournal._write, Lockout.set

        def write_if_alive(journal: OrderJournal, type_: str, *given: Any, **more: Any) -> None:
            if type_ == "order.intent":
                self._intents += 1
                if self._intents == self._fate.kill_at_order:
                    self._timers.append(self.loop.call_later(self._fate.kill_after_s, self._kill))
            with self.act():
                write(journal, type_, *given, **more)

        def lock_and_note(lockout: Lockout, *given: Any) -> None:
            self.forbidden.append((self.loop.time(), float("inf"), "live was locked out"))
            lock(lockout, *given)

        with patch.object(OrderJournal, "_write", write_if_alive), patch.object(Lockout, "set", lock_and_note):
            yield

    def day(self) -> TradingDay:
        """Return what the order journal says of the day."""
        return read_day(self.project, self.book)
