"""What steps may ask of the desk: the one thing that `steps/` knows of how Aurora is put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from aurora.alerts.base import Alert, Delivery
from aurora.brokers.base import Broker, ProbedBroker
from aurora.clock import Clock
from aurora.market.mode import Mode
from aurora.profile import Profile
from aurora.quotes.base import QuoteSource
from aurora.risk.kill_switch import KillSwitch
from aurora.session.strategy import Strategy


class Services(Protocol):
    """The desk as steps see it; `aurora.desk` builds it, tests build their own."""

    @property
    def project(self) -> Path:
        """The project's root folder."""

    @property
    def profile(self) -> Profile:
        """The run's profile."""

    @property
    def clock(self) -> Clock:
        """The machine's own clock."""

    @property
    def kill_switch(self) -> KillSwitch:
        """The project's kill switch."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment, the project's `.env` under it."""

    def open_quotes(self, spec: str, mode: Mode = Mode.SHADOW) -> QuoteSource:
        """Open the quote source that `spec` names, for a session in `mode`. Raises UsageError or VenueRefusal."""

    def open_broker(self, mode: Mode, source: QuoteSource) -> Broker:
        """Return the broker of a session in `mode`: its own simulated book, or the profile's venue when live.

        Raises VenueRefusal when profile, mode and venue do not agree.
        """

    def open_venue(self, stack: ExitStack) -> Broker:
        """Connect to the profile's venue to look at it; `stack` closes it. Raises VenueRefusal when it can't."""

    def open_probe(self, stack: ExitStack) -> tuple[ProbedBroker, QuoteSource]:
        """Connect to the profile's account to probe the venue's settings, quotes included; `stack` closes both.

        Raises VenueRefusal when it can't be reached, ProfileError where there is none.
        """

    def open_account(self, stack: ExitStack, *, cancels: bool = False) -> tuple[Broker, QuoteSource]:
        """Connect to the profile's account to bring it to zero, quotes on request; `stack` closes both.

        cancels: have all working orders of the account cancelled first, before anything is asked.
        Raises VenueRefusal while it can't be reached.
        """

    def open_observer(self, stack: ExitStack) -> Broker:
        """Connect to the profile's account to look at it, beside a session; `stack` closes it. Raises VenueRefusal."""

    def strategy(self) -> Strategy:
        """Return the profile's strategy. Raises ProfileError when the profile names none that there is."""

    def notify(self, alert: Alert) -> Delivery:
        """Tell the trader `alert`; delivered only when what reaches a person took it. Never raises."""

    def telling(self, title: str, text: str) -> Sequence[str]:
        """Return the program, as words, that tells this urgently when this process can't; empty where there is none."""
