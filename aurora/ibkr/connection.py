"""The connection to TWS or IB Gateway: a thread with its own event loop, epochs, and a link that is proven.

    open → (epoch: connect → check the account → each `on_epoch` → the link is up → … → lost)* → close

A new epoch begins with each socket. Whatever was learned in an earlier one is old: who keeps something of the venue
reads it anew in `on_epoch` before the link counts as up. A link that says nothing for ten seconds is asked; one that
does not answer is taken for dead (half-open sockets look alive for ever).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from aurora.errors import VenueRefusal, VenueSilent
from aurora.ibkr.address import Address
from aurora.ibkr.codes import Meaning, meaning
from aurora.ibkr.events import Complaints, Events
from aurora.ibkr.governor import Governor, Urgency
from aurora.ibkr.handshake import Handshake
from aurora.ibkr.library import library
from aurora.ibkr.loop_thread import LoopHost, LoopThread
from aurora.market.link import WELL, LinkState

WATCH_S = 30.0
"""How often is asked for what the venue tells nobody by itself."""
QUIET_S = 10.0
"""How long the venue may say nothing before it is asked whether it is there."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
T = TypeVar("T")


class Connection:
    """One client id at TWS. Its methods may be called from any thread; `on_epoch` and events are in the loop's own.

    host: runs its event loop. on_epoch: what is to be read anew when a socket is there, in this order.
    on_watch: what is to be asked for every `WATCH_S` seconds.
    """

    def __init__(self, address: Address, host: LoopHost | None = None) -> None:
        self.address = address
        self.events = Events()
        self.epoch = 0
        self.on_epoch: list[Callable[[], Awaitable[None]]] = []
        self.on_watch: list[Callable[[], Awaitable[None]]] = []
        self.governor = Governor(address.spacing_s)
        self.client: Any = None
        self._host = LoopThread("ibkr") if host is None else host
        self._loop = self._host.loop
        self._pending: dict[str | tuple[str, int], asyncio.Future[None]] = {}
        self._down = "the connection was not opened"
        self._farms: set[str] = set()
        self._delayed: dict[str, str] = {}
        self._handshake: Handshake | None = None
        self._closing = False
        self._keeper: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._heard_s = 0.0
        self.malformed = ""
        """The last message that could not be read; empty is none."""

    # from any thread

    @property
    def is_closed(self) -> bool:
        """Return whether it was closed for good."""
        return self._closing

    def open(self) -> None:
        """Connect, and return when the link is up and everything was read. Raises VenueRefusal."""
        client_library = library()
        self.client = client_library.Client(self.events)
        self.client.MaxRequests = 0  # the governor paces; the client's own throttle would let cancels wait
        self._listen(client_library.__name__)
        self._host.start()
        try:
            self.run(self._begin(), self.address.timeout_s * 3)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Disconnect, and end the thread; a second call does nothing."""
        if self._closing:
            return
        self._closing = True
        if self._host.is_running:
            with contextlib.suppress(VenueRefusal):
                self.run(self._end(), 5)
        self._host.stop()

    def run(self, work: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """Do `work` in the loop's thread and return what comes of it. Raises VenueRefusal when it takes too long."""
        if not self._host.is_running:
            work.close()
            raise VenueRefusal(f"The connection to {self.address.shown} is closed.", means="nothing was sent")
        limit = self.address.timeout_s if timeout_s is None else timeout_s
        try:
            return self._host.run(work, limit)
        except TimeoutError:
            raise self._silent(limit) from None

    def link_state(self) -> LinkState:
        """Return what is wrong with the line; see `aurora.market.link`."""
        down = self._down or ", ".join(sorted(self._farms))
        delayed = ", ".join(f"{symbol} ({why})" for symbol, why in sorted(self._delayed.items()))
        return LinkState(down, delayed) if down or delayed else WELL

    # in the loop's thread

    async def send(self, urgency: Urgency, action: Callable[[Any], object]) -> None:
        """Let `action` send one message through the client, when it is its turn. Raises VenueRefusal."""
        epoch = self.epoch
        await self.governor.turn(urgency)
        if epoch != self.epoch:
            raise VenueRefusal("The connection was lost before the message went out.", means="it was not sent")
        try:
            action(self.client)
        except ConnectionError as error:
            raise self._is_down() from error

    def _is_down(self) -> VenueRefusal:
        return VenueRefusal(f"The connection to {self.address.shown} is down.", means="nothing was sent")

    async def ask(
        self, end: str | tuple[str, int], action: Callable[[Any], object], urgency: Urgency = Urgency.REQUEST
    ) -> None:
        """Send a request, and return when its end marker `end` has come. Raises VenueRefusal when it is late."""
        before = self._pending.get(end)
        if before is not None and not before.done():  # asked already: one answer is for both
            await asyncio.wait({before}, timeout=self.address.timeout_s)
            if not before.done() or before.cancelled():  # who asked has given up
                raise self._silent(self.address.timeout_s, _asked(end))
            before.result()
            return
        coming: asyncio.Future[None] = self._loop.create_future()
        self._pending[end] = coming
        try:
            await self.send(urgency, action)
            await asyncio.wait_for(coming, self.address.timeout_s)
        except TimeoutError:
            raise self._silent(self.address.timeout_s, _asked(end)) from None
        finally:
            if self._pending.get(end) is coming:
                del self._pending[end]
            if not coming.cancel() and not coming.cancelled():
                coming.exception()  # the loss of the line came while the question waited for its turn

    def answered(self, end: str | tuple[str, int]) -> None:
        """Take note that an end marker came."""
        coming = self._pending.get(end)
        if coming is not None and not coming.done():
            coming.set_result(None)

    def later(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin `work` in the loop; what the venue refuses of it is in the link's state. The caller keeps the task."""

        async def attempt() -> None:
            try:
                await work
            except VenueRefusal as refusal:
                self._down = refusal.what

        return asyncio.ensure_future(attempt())

    def new_id(self) -> int:
        """Return a number for a request or an order, that this client id has not used. Raises VenueRefusal."""
        try:
            return int(self.client.getReqId())
        except ConnectionError as error:
            raise self._is_down() from error

    def _listen(self, name: str) -> None:
        on = self.events.on
        on("error", self._on_error)
        on("malformed", self._on_malformed)
        on("currentTime", lambda _: self.answered("currentTime"))
        on("nextValidId", self.client.updateReqId)
        logging.getLogger(name).addHandler(logging.NullHandler())  # what it says is told by us, not on standard error
        self.client.decoder.logger = Complaints(self.events)
        self.client.conn.hasData += self._on_data
        self.client.conn.hasData.error_event.connect(lambda _, error: self.events.emit("malformed", repr(error)))
        self.client.apiEnd += self._on_lost

    async def _begin(self) -> None:
        await self._connect()
        self._keeper = asyncio.create_task(self._keep())

    async def _end(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
        self.epoch += 1
        if self.client is not None:
            self.client.disconnect()
        await asyncio.sleep(0)

    async def _connect(self) -> None:
        """Open a socket, check whose account answers, and have everything read. Raises VenueRefusal."""
        self._down = "connecting"
        self._farms.clear()  # the venue tells of each anew
        self._handshake = Handshake(self.client, self.address)
        await self._handshake.make()
        self.epoch += 1
        self._heard_s = self._loop.time()
        try:
            self._check_account(list(self.client.getAccounts()))
            for read in self.on_epoch:
                await read()
            await self.ask("currentTime", lambda client: client.reqCurrentTime())
        except BaseException:
            self.epoch += 1
            self.client.disconnect()
            raise
        self._down = ""

    def _check_account(self, accounts: list[str]) -> None:
        if accounts == [self.address.account]:
            return
        theirs = ", ".join(accounts) or "none"
        raise VenueRefusal(
            f"{self.address.shown} manages {theirs}; the profile's account is {self.address.account}.",
            means="orders could go to another account; nothing was sent",
            todo="log in to the account of the profile, and to no other, or mend IB_ACCOUNT",
        )

    async def _keep(self) -> None:
        """Ask a silent link whether it is there; connect anew when it is lost, with growing pauses."""
        pause = FIRST_PAUSE_S
        watched_s = self._loop.time()
        while True:
            if self.client.isReady():
                await asyncio.sleep(min(QUIET_S / 10, 1))
                if self._loop.time() - self._heard_s >= QUIET_S:
                    await self._see_whether_alive()
                elif self._loop.time() - watched_s >= WATCH_S:
                    watched_s = self._loop.time()
                    await self._watch()
                continue
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, LONGEST_PAUSE_S)
            try:
                await self._connect()
                pause = FIRST_PAUSE_S
            except VenueRefusal as refusal:
                self._down = refusal.what
            except Exception as error:  # noqa: BLE001 - who keeps the line must not end by a fault of one try
                self._down = f"connecting failed: {error!r}"

    async def _watch(self) -> None:
        for look in self.on_watch:
            with contextlib.suppress(VenueRefusal):  # a line that does not answer is found out by its silence
                await look()

    async def _see_whether_alive(self) -> None:
        try:
            await self.ask("currentTime", lambda client: client.reqCurrentTime())
        except VenueRefusal:
            self._lose("nothing came from it, and it did not answer")

    def _lose(self, why: str) -> None:
        """Give a socket up: whoever waits for an answer of it is told."""
        self.epoch += 1
        self._down = f"the connection to {self.address.shown} was lost: {why}"
        for coming in self._pending.values():
            if not coming.done():
                coming.set_exception(
                    VenueRefusal(
                        f"The connection to {self.address.shown} was lost: {why}.",
                        means="what was asked is not known",
                        todo="look whether TWS or IB Gateway runs, is logged in, and trusts this machine's address",
                    )
                )
        if self.client.conn.isConnected():
            self.client.conn.transport.abort()
        self.client.reset()
        self.events.emit("lost")

    def _on_data(self, _data: bytes) -> None:
        self._heard_s = self._loop.time()

    def _on_lost(self) -> None:
        if not self._closing:
            self._lose("the venue closed it")

    def _on_malformed(self, text: str) -> None:
        self.malformed = text
        self._down = f"the venue sent what can't be read: {text}"
        if self._handshake is not None:
            self._handshake.refuse_unreadable(text)

    def _on_error(self, number: int, code: int, text: str, *_: object) -> None:
        what = meaning(code)
        if what is Meaning.IN_USE and self._handshake is not None:
            self._handshake.refuse_in_use()
        elif what is Meaning.LINK_DOWN:
            self._down = f"{code}: {text}"
        elif what in (Meaning.LINK_BACK, Meaning.LINK_LOST_DATA):
            self._read_again(is_lost=what is Meaning.LINK_LOST_DATA)
        elif what is Meaning.FARM_DOWN:
            self._farms.add(_farm(text))
        elif what is Meaning.FARM_UP and _farm(text) in self._farms:
            self._farms.discard(_farm(text))
            self.events.emit("farm_back")
        elif what is Meaning.COMPETING:
            self._farms.add(f"{code}: {text}")
        elif what is Meaning.REJECTED and number < 0:
            self._refuse_all(f"{code}: {text}")

    def _refuse_all(self, said: str) -> None:
        """Fail each request that has no number: TWS refuses them with a message that names none (Read-Only API)."""
        for end, coming in self._pending.items():
            if isinstance(end, str) and not coming.done():
                coming.set_exception(
                    VenueRefusal(
                        f"{self.address.shown} refused a request ({end}): {said}.",
                        means="orders, positions and cash are not known, and nothing is assumed",
                        todo="see TWS: Global Configuration, API, Settings; Read-Only API has to be off",
                    )
                )

    def mark_delayed(self, symbol: str, why: str) -> None:
        """Take note of why a symbol's quotes are not real-time, the first reason stays; "" when they are."""
        if why:
            self._delayed.setdefault(symbol, why)
        else:
            self._delayed.pop(symbol, None)

    def _read_again(self, *, is_lost: bool) -> None:
        """After 1101 and 1102 everything is read anew: fills that came in between are told by nobody."""
        self._down = "everything is read anew"
        if is_lost:
            self.events.emit("data_lost")

        async def read() -> None:
            epoch = self.epoch
            try:
                for each in self.on_epoch:
                    await each()
            except VenueRefusal as refusal:
                self._down = refusal.what
                return
            if epoch == self.epoch:
                self._down = ""

        self._reading = asyncio.ensure_future(read())  # a task that nobody holds may be collected before it ends

    def _silent(self, seconds: float, asked: str = "") -> VenueSilent:
        return VenueSilent(
            f"{self.address.shown} did not answer within {seconds:g} s{asked}.",
            means="nothing is known of it, and nothing is assumed",
            todo="look whether TWS or IB Gateway hangs, waits for a login, or has the API switched off",
        )


def _asked(end: str | tuple[str, int]) -> str:
    return f" (it was asked for {end if isinstance(end, str) else end[0]})"


def _farm(text: str) -> str:
    return "market data farm " + text.rsplit(":", 1)[-1].strip() if ":" in text else "a market data farm"
