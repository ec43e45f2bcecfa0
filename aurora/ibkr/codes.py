"""What TWS's message codes mean to Aurora: one table.

Sources: IB's published list of API message codes, and what clients were measured to do on each (a code that a client
calls "cancelled" may leave the order alive: 399, 10349). A code that is not here is told, and decides nothing.
"""

from __future__ import annotations

from enum import Enum


class Meaning(Enum):
    """What follows from a code."""

    REJECTED = "the venue refused the order; it is not there"
    CANCELLED = "the order is cancelled when its status says so, with what it filled"
    DOUBTFUL = "what became of the order has to be asked"
    LIVE = "a notice; the order lives"
    LINK_DOWN = "TWS has lost Interactive Brokers"
    LINK_LOST_DATA = "the link is back, subscriptions are gone"
    LINK_BACK = "the link is back, and what was subscribed goes on"
    FARM_DOWN = "a market data farm is down"
    FARM_UP = "a market data farm is back"
    DELAYED = "quotes are delayed or not subscribed"
    COMPETING = "another login takes the market data"
    NO_CONTRACT = "there is no such contract, or more than one"
    IN_USE = "another program has this client id"
    TOO_FAST = "too many messages; the connection ends"
    READ_ONLY = "the request could not be taken"
    NOTE = "only told"


CODES: dict[int, Meaning] = {
    100: Meaning.TOO_FAST,
    101: Meaning.NO_CONTRACT,  # too many tickers: this one has no quotes
    103: Meaning.DOUBTFUL,  # an order id that was used: nobody knows whose order that is
    104: Meaning.LIVE,
    105: Meaning.LIVE,
    106: Meaning.REJECTED,
    107: Meaning.REJECTED,
    109: Meaning.REJECTED,
    110: Meaning.REJECTED,
    111: Meaning.REJECTED,
    135: Meaning.DOUBTFUL,
    136: Meaning.DOUBTFUL,
    154: Meaning.REJECTED,  # halted
    161: Meaning.DOUBTFUL,
    200: Meaning.NO_CONTRACT,
    201: Meaning.REJECTED,
    202: Meaning.CANCELLED,
    203: Meaning.REJECTED,
    300: Meaning.NOTE,
    320: Meaning.READ_ONLY,
    321: Meaning.REJECTED,  # of a new order; a request is refused with it, too
    322: Meaning.READ_ONLY,
    326: Meaning.IN_USE,
    354: Meaning.DELAYED,
    387: Meaning.REJECTED,
    399: Meaning.LIVE,
    404: Meaning.LIVE,
    434: Meaning.REJECTED,
    460: Meaning.REJECTED,
    1100: Meaning.LINK_DOWN,
    1101: Meaning.LINK_LOST_DATA,
    1102: Meaning.LINK_BACK,
    1300: Meaning.LINK_DOWN,
    2103: Meaning.FARM_DOWN,
    2104: Meaning.FARM_UP,
    2109: Meaning.LIVE,
    2110: Meaning.LINK_DOWN,
    2137: Meaning.REJECTED,
    10089: Meaning.DELAYED,
    10090: Meaning.DELAYED,
    10147: Meaning.DOUBTFUL,
    10148: Meaning.DOUBTFUL,
    10167: Meaning.DELAYED,
    10168: Meaning.DELAYED,
    10185: Meaning.COMPETING,
    10186: Meaning.DELAYED,
    10197: Meaning.COMPETING,
    10225: Meaning.COMPETING,
    10243: Meaning.REJECTED,
    10311: Meaning.LIVE,
    10329: Meaning.LIVE,
    10349: Meaning.LIVE,
}


def meaning(code: int) -> Meaning:
    """Return what a code means; one that is not in the table is only told."""
    return CODES.get(code, Meaning.NOTE)
