"""The composition root: the only place that builds brokers, quote sources, strategies and notifiers for steps."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from aurora.alerts.address import DEFAULT
from aurora.alerts.base import Alert, Delivery, Notifier, Priority
from aurora.alerts.notifiers import build_notifiers
from aurora.alerts.push import PushNotifier
from aurora.alerts.telling import send_waiting, tell
from aurora.alerts.unsent import UnsentAlerts
from aurora.brokers.base import Broker, ProbedBroker
from aurora.brokers.simulated import SimulatedBroker
from aurora.clock import Clock, SystemClock
from aurora.engine.context import Context
from aurora.engine.profiles import load_profile
from aurora.engine.project import find_project
from aurora.engine.secrets import Masker, read_environment, secrets_of
from aurora.errors import AuroraError, ProfileError
from aurora.evidence.witness import desk_name, head_line, last_head
from aurora.market.mode import Mode
from aurora.profile import Profile
from aurora.quotes.base import QuoteSource
from aurora.quotes.sources import open_quotes
from aurora.risk.kill_switch import KillSwitch
from aurora.session.account import account_id
from aurora.session.models import open_model, read_registry
from aurora.session.services import Services
from aurora.session.strategy import ScoreStrategy, Strategy

if TYPE_CHECKING:
    from aurora.ibkr.account import Account

T = TypeVar("T")

SIMULATED = "simulated"
IBKR = "ibkr"
SENDS, RECONCILE, VENUE_CHECK, FLATTEN, SHADOW = 0, 1, 2, 3, 4
"""What is added to IB_CLIENT_ID by who only looks, or must get in beside a session (trading rule 4)."""
TURN_S, AGAIN_S = 20.0, 0.2
"""How long, and how often, a look tries to get a client id that another one holds."""
ROOM = 3_800
"""Bytes of an alert's text before the head: a push holds 4,000."""
_TELLS = "import pathlib, sys; from aurora.desk import notify_of; notify_of(pathlib.Path(sys.argv[1]), *sys.argv[2:])"


def services(context: Context[Services]) -> Services:
    """Build the desk for one attempt of a step. Raises ProfileError when the profile contradicts itself."""
    return Desk(context.project, context.profile)


class Desk:
    """The services of one step: what it asks for is built then, from the profile.

    environment: the process's own unless given.
    """

    def __init__(self, project: Path, profile: Profile, environment: Mapping[str, str] | None = None) -> None:
        check_agreement(profile)
        self.project = project
        self.profile = profile
        self.clock: Clock = SystemClock()
        self.kill_switch = KillSwitch(project)
        self.environment = os.environ if environment is None else environment
        self._accounts: dict[int, Account] = {}

    def open_quotes(self, spec: str, mode: Mode = Mode.SHADOW) -> QuoteSource:
        """Open the quote source that `spec` names; paths in it are relative to the project.

        `ibkr` is the profile's account: by its own client id for a live session, by another beside it for all others.
        """
        if spec.strip() == IBKR:
            if mode is Mode.LIVE:
                return self._account(SENDS).quotes()
            return self._in_turn(SHADOW, lambda account: account.quotes())
        return open_quotes(spec, root=self.project)

    def open_broker(self, mode: Mode, source: QuoteSource) -> Broker:
        """Return the broker of a session in `mode`: the venue's when live, else a simulated book (trading rule 16)."""
        if mode is Mode.LIVE and self.profile.mode != Mode.LIVE:
            raise ProfileError(
                f"The profile {self.profile.name} is for {self.profile.mode}; a live session was asked for.",
                means="an order would leave a profile that was made to send none",
                todo="use a profile with mode: live",
            )
        if mode is Mode.LIVE and self.profile.venue != SIMULATED:
            return self._account(SENDS).broker()
        return self._simulated(source)

    def open_venue(self, stack: ExitStack) -> Broker:
        """Connect to the profile's venue to look at it; a simulated one has nothing to close."""
        return self._look(VENUE_CHECK, stack)

    def open_probe(self, stack: ExitStack) -> tuple[ProbedBroker, QuoteSource]:
        """Connect to the profile's account to probe its settings. Raises ProfileError on the simulated venue."""
        broker = self._in_turn(VENUE_CHECK, lambda account: account.broker())
        account = self._account(VENUE_CHECK)
        stack.callback(account.close)
        return broker, account.quotes()

    def _simulated(self, source: QuoteSource | None) -> Broker:
        return SimulatedBroker(
            quote_of=lambda symbol: None if source is None else source.poll().get(symbol),
            clock=self.clock if source is None else source.clock,
            cash=Decimal(self.profile.capital_usd),
        )

    def open_account(self, stack: ExitStack, *, cancels: bool = False) -> tuple[Broker, QuoteSource]:
        """Connect to the profile's account; a simulated one lives as long as its session, and is always flat.

        By the client id that sends, whose orders it can cancel one by one; beside a program that holds it still, by
        another, which can only cancel all (trading rule 4).
        """
        if self.profile.venue == SIMULATED:
            source = self.open_quotes("dummy")
            stack.callback(source.close)
            return self._simulated(source), source
        from aurora.ibkr.handshake import ClientIdInUse  # noqa: PLC0415 - as in `_account`

        def connect(offset: int) -> tuple[Broker, QuoteSource]:
            account = self._account(offset)
            if cancels:
                account.cancel_first()
            broker = account.broker()
            stack.callback(account.close)
            return broker, account.quotes()

        try:
            return connect(SENDS)
        except ClientIdInUse:
            return connect(FLATTEN)

    def open_observer(self, stack: ExitStack) -> Broker:
        """Connect to the profile's account to look at it; a simulated one has nothing to close."""
        return self._look(RECONCILE, stack)

    def _look(self, offset: int, stack: ExitStack) -> Broker:
        if self.profile.venue == SIMULATED:
            return self._simulated(None)
        broker = self._in_turn(offset, lambda account: account.broker())
        stack.callback(self._account(offset).close)
        return broker

    def _in_turn(self, offset: int, opened: Callable[[Account], T]) -> T:
        """Return what `opened` does with the account by the client id of who only looks.

        Steps that run side by side share that id, and TWS frees one a moment after its socket closed: whoever comes
        second waits. Raises ClientIdInUse when it is still held after TURN_S.
        """
        from aurora.ibkr.handshake import ClientIdInUse  # noqa: PLC0415 - as in `_account`

        until = self.clock.monotonic() + TURN_S
        while True:
            try:
                return opened(self._account(offset))
            except ClientIdInUse:
                if self.clock.monotonic() >= until:
                    raise
            self.clock.sleep(AGAIN_S)

    def _account(self, offset: int) -> Account:
        """Return the account by one of its client ids. Raises ProfileError where environment and profile disagree."""
        if self.profile.venue == SIMULATED:
            raise ProfileError(
                f"The profile {self.profile.name} is for the simulated venue, which has no account at IBKR.",
                means="nothing was connected",
                todo="use dummy or replay:PATH, or a profile with venue: paper or live",
            )
        from aurora.ibkr.account import Account  # noqa: PLC0415 - loads asyncio; most steps talk to no venue
        from aurora.ibkr.address import read_address  # noqa: PLC0415 - the same

        if offset not in self._accounts or self._accounts[offset].is_closed:
            address = read_address(self.environment, str(self.profile.venue), account_id(self)).beside(offset)
            spacing_s = int(self.profile.session.message_spacing_ms) / 1000
            self._accounts[offset] = Account(replace(address, spacing_s=spacing_s))
        return self._accounts[offset]

    def strategy(self) -> Strategy:
        """Return the profile's strategy: its model, as registered. Raises ProfileError, RunbookError."""
        models = self.profile.models
        opened = open_model(self.project, read_registry(self.project), models.name)
        return ScoreStrategy(f"{opened.name}@{opened.sha256[:12]}", opened.model, Decimal(models.max_weight_pct) / 100)

    def notify(self, alert: Alert) -> Delivery:
        """Tell `alert`, the profile's secrets masked and the ledger's head below, by each notifier of the profile."""
        mask = Masker(secrets_of([*self.profile.secrets, *self.alert_addresses], self.environment)).text
        title, text = mask(alert.title), mask(alert.text)
        key = alert.key or f"{title}\n{text}"  # the head differs each time
        masked = replace(alert, title=title, text=self._with_head(text), key=key)
        return tell(self._notifiers(push=alert.push), masked, self.project, self.profile.name)

    def telling(self, title: str, text: str) -> Sequence[str]:
        """Return the program that tells this urgently, by the profile's notifiers, when this process can't."""
        return [sys.executable, "-P", "-c", _TELLS, str(self.project), self.profile.name, title, text]

    @property
    def alert_addresses(self) -> list[str]:
        """Return the names of the variables that hold the addresses of alerts."""
        return list(self.profile.alerts.get("addresses") or [DEFAULT])

    def send_unsent(self) -> list[str]:
        """Send the alerts of this profile that wait on disk; return a line each. Raises OSError."""
        unsent = UnsentAlerts(self.project)
        with unsent.locked():
            waiting = [each for each in unsent.waiting() if each.profile == self.profile.name]
            push = next(each for each in self._notifiers(push=True) if isinstance(each, PushNotifier))
            return send_waiting(push, waiting, unsent, self.clock.now()) if waiting else []

    def _notifiers(self, *, push: bool) -> list[Notifier]:
        alerts = self.profile.alerts
        wanted = {**alerts.plain(), "push": True} if push else alerts
        return build_notifiers(wanted, self.project, self.environment, self.clock, self.alert_addresses)

    def _with_head(self, text: str) -> str:
        """Return `text` with the head of the ledger, if there is one: what a person has read can't be rewritten."""
        head = last_head(self.project / "runs")
        if head is None:
            return text
        desk = self.project.name
        with contextlib.suppress(AuroraError):  # an alert goes out, whatever the settings say
            desk = find_project(self.project).desk_name
        line = head_line(desk, head)
        if f"aurora {desk_name(desk)} " in text:
            return text
        return f"{text.encode('utf-8', 'replace')[:ROOM].decode('utf-8', 'ignore')}\n{line}"


def desk_of(project: Path, profile: str) -> Desk:
    """Return the desk of a profile, outside of any run. Raises ProfileError, RunbookError."""
    return Desk(project, load_profile(project, profile), read_environment(project))


def notify_of(project: Path, profile: str, title: str, text: str) -> Delivery:
    """Tell whoever the alerts of the profile named reach, urgently. Raises ProfileError, RunbookError."""
    desk = desk_of(project, profile)
    return desk.notify(Alert(title, text, Priority.URGENT, ("rotating_light",), desk.clock.now()))


def check_agreement(profile: Profile) -> None:
    """Raise ProfileError when mode, venue and account of `profile` contradict each other (trading rules 1, 2)."""
    named = set(profile.alerts.get("addresses") or ()) - set(profile.secrets) if profile.alerts.get("push") else set()
    if named:
        _refuse(
            profile, f"alerts.addresses names {min(named)}, secrets does not", "an address is a secret: name it there"
        )
    real_money = profile.venue == "live"
    if bool(profile.live) != real_money:
        _refuse(profile, f"live is {str(bool(profile.live)).lower()} and venue is {profile.venue}",
                "live: true and venue: live belong together")  # fmt: skip
    if real_money and profile.mode == Mode.PAPER:
        _refuse(profile, "mode is paper and venue is live", "a real-money profile is for shadow or live")
    if profile.mode == Mode.LIVE and not profile.account.dedicated:
        _refuse(profile, "mode is live and account.dedicated is false", "live sessions need an account of their own")
    if profile.mode == Mode.LIVE and profile.account.base_currency != "USD":
        _refuse(profile, f"the account's base currency is {profile.account.base_currency}", "live needs USD")


def _refuse(profile: Profile, what: str, todo: str) -> None:
    raise ProfileError(f"The profile {profile.name} contradicts itself: {what}.", means="nothing was run", todo=todo)
