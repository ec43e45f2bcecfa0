"""The composition root: the only place that builds brokers, quote sources, strategies and notifiers for steps."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from aurora.alerts.base import Alert, Delivery, Priority, tell
from aurora.alerts.notifiers import build_notifiers
from aurora.brokers.base import Broker
from aurora.brokers.simulated import SimulatedBroker
from aurora.clock import Clock, SystemClock
from aurora.engine.context import Context
from aurora.engine.document import read_document
from aurora.engine.faults import RunbookError
from aurora.engine.profiles import load_profile
from aurora.engine.project import find_project
from aurora.engine.secrets import Masker, read_environment, secrets_of
from aurora.errors import AuroraError, ProfileError, VenueRefusal
from aurora.evidence.witness import desk_name, head_line, last_head
from aurora.market.mode import Mode
from aurora.profile import Profile
from aurora.quotes.base import QuoteSource
from aurora.quotes.sources import open_quotes
from aurora.risk.kill_switch import KillSwitch
from aurora.session.models import REGISTRY, open_model
from aurora.session.services import Services
from aurora.session.strategy import ScoreStrategy, Strategy

SIMULATED = "simulated"
ROOM = 3_800
"""Bytes of an alert's text before the head: a push holds 4,000."""


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

    def open_quotes(self, spec: str) -> QuoteSource:
        """Open the quote source that `spec` names; paths in it are relative to the project."""
        return open_quotes(spec, root=self.project)

    def open_broker(self, mode: Mode, source: QuoteSource) -> Broker:
        """Return the broker of a session in `mode`. Every mode is simulated so far, each session with its own book."""
        if mode is Mode.LIVE and self.profile.mode != Mode.LIVE:
            raise ProfileError(
                f"The profile {self.profile.name} is for {self.profile.mode}; a live session was asked for.",
                means="an order would leave a profile that was made to send none",
                todo="use a profile with mode: live",
            )
        return self.open_venue(source)

    def open_venue(self, source: QuoteSource | None = None) -> Broker:
        """Return the profile's venue; only the simulated one is there so far."""
        if self.profile.venue != SIMULATED:
            raise VenueRefusal(
                f"The profile {self.profile.name} is for the venue {self.profile.venue}; it is not built yet.",
                means="no order and no account can be reached; nothing was sent",
                todo="use a profile with venue: simulated, like sim",
            )
        return SimulatedBroker(
            quote_of=lambda symbol: None if source is None else source.poll().get(symbol),
            clock=self.clock if source is None else source.clock,
            cash=Decimal(self.profile.capital_usd),
        )

    def open_account(self, stack: ExitStack) -> tuple[Broker, QuoteSource]:
        """Connect to the profile's account; a simulated one lives as long as its session, and is always flat."""
        source = self.open_quotes("dummy")
        stack.callback(source.close)
        return self.open_venue(source), source

    def open_observer(self, stack: ExitStack) -> Broker:
        """Connect to the profile's account to look at it; a simulated one has nothing to close."""
        del stack
        return self.open_venue()

    def strategy(self) -> Strategy:
        """Return the profile's strategy: its model, as registered. Raises ProfileError, RunbookError."""
        models = self.profile.models
        registry = read_document(self.project / REGISTRY, REGISTRY)
        if registry.faults:
            raise RunbookError(list(registry.faults))
        opened = open_model(self.project, registry.data, models.name)
        return ScoreStrategy(f"{opened.name}@{opened.sha256[:12]}", opened.model, Decimal(models.max_weight_pct) / 100)

    def notify(self, alert: Alert) -> Delivery:
        """Tell `alert`, the profile's secrets masked and the ledger's head below, by each notifier of the profile."""
        mask = Masker(secrets_of(self.profile.secrets, self.environment)).text
        notifiers = build_notifiers(self.profile.alerts, self.project, self.environment, self.clock)
        text = self._with_head(mask(alert.text))
        return tell(notifiers, replace(alert, title=mask(alert.title), text=text))

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
