"""From weights to orders: what brings positions towards their targets, and what the router makes of it."""

from __future__ import annotations

from aurora.brokers.base import Broker
from aurora.errors import VenueAway, VenueRefusal
from aurora.execution.router import Decision, Router, Stage
from aurora.session.poll import Poll
from aurora.session.settings import SessionSettings
from aurora.session.sizing import Sizing, size_order
from aurora.session.tally import Tally


class Orders:
    """Per poll: size → route. next_ref: a ref that no order had before, made of the session's own prefix."""

    def __init__(
        self, settings: SessionSettings, broker: Broker, router: Router, tally: Tally, ref_prefix: str
    ) -> None:
        self._broker = broker
        self._router = router
        self._tally = tally
        self._prefix = ref_prefix
        self._refs = 0
        self._sizing = Sizing(
            settings.capital_usd,
            settings.limits.per_trade_notional_usd,
            settings.min_trade_usd,
            settings.limits.collar_bps,
        )

    def next_ref(self) -> str:
        """Return the next ref."""
        self._refs += 1
        return f"{self._prefix}-{self._refs:05d}"

    def size(self, poll: Poll, *, reduce_only: bool) -> None:
        """Add the orders that the poll's weights come to; one in flight a symbol (trading rule 6).

        Raises VenueAway when the line is lost meanwhile.
        """
        in_flight = {state.order.symbol for state in self._broker.open_orders()}
        for symbol, weight in poll.weights.items():
            quote = poll.quotes[symbol]
            if symbol in in_flight:
                poll.note(symbol, "an order is in flight")
            elif quote is not None:
                wish = size_order(
                    weight, self._router.expected(symbol), quote, poll.at, self.next_ref(), self._sizing,
                    reduce_only=reduce_only,
                )  # fmt: skip
                for note in wish.notes:
                    poll.note(symbol, note)
                if wish.order is not None:
                    poll.orders.append(wish.order)

    def route(self, poll: Poll) -> None:
        """Offer each order to the router. Raises VenueRefusal when the venue may, or may not, have got one."""
        for order in poll.orders:
            try:
                decision = self._router.route(order, poll.quotes[order.symbol])
            except VenueRefusal as refusal:
                if self._router.use.has_seen(order.ref):
                    opens = self._router.use.opens[order.ref]
                    self._take(poll, Decision(order, opens, Stage.BROKER, f"sending failed: {refusal.what}"))
                elif isinstance(refusal, VenueAway):
                    poll.note(order.symbol, f"not sent: {refusal.what}")
                    continue
                raise
            self._take(poll, decision)

    def _take(self, poll: Poll, decision: Decision) -> None:
        self._tally.count_decision(decision)
        poll.decisions.append(decision)
