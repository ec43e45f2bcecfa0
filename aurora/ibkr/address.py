"""Where an account of Interactive Brokers is reached; whether its port, its number and the profile's venue agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from aurora.errors import ProfileError

PAPER_PORTS = (7497, 4002)
LIVE_PORTS = (7496, 4001)
PAPER_PREFIXES = ("DU", "DF")


@dataclass(frozen=True)
class Address:
    """Host, port, client id and account; `spacing_s` is the least time between two messages."""

    host: str
    port: int
    client_id: int
    account: str
    spacing_s: float = 0.1
    timeout_s: float = 10.0

    def beside(self, offset: int) -> Address:
        """Return the same account by another client id."""
        return replace(self, client_id=self.client_id + offset)

    @property
    def shown(self) -> str:
        """Return it as messages name it."""
        return f"{self.host}:{self.port}"


def read_address(environment: Mapping[str, str], venue: str, account: str) -> Address:
    """Return the address that the environment names. Raises ProfileError where a part is missing or they disagree.

    venue: `paper` or `live`, the profile's. account: the account's id, the profile's.
    """
    if environment.get("BROKER", "ibkr") != "ibkr":
        _refuse(f"BROKER is {environment['BROKER']!r}", "set BROKER=ibkr, the only broker there is")
    host = environment.get("IB_HOST", "127.0.0.1")
    port, client_id = (_number(environment, name) for name in ("IB_PORT", "IB_CLIENT_ID"))
    check_agreement(venue, port, account)
    return Address(host, port, client_id, account)


def check_agreement(venue: str, port: int, account: str) -> None:
    """Raise ProfileError when venue, port and account are not of one kind (trading rule 1).

    A port that is not one of IB's four says nothing of itself; then venue and account have to agree.
    """
    is_paper = account.startswith(PAPER_PREFIXES)
    if (venue == "paper") is not is_paper:
        _refuse(f"the account {account} is {'a paper' if is_paper else 'no paper'} account, and venue is {venue}",
                "put the account's own id into IB_ACCOUNT, or take the profile for its venue")  # fmt: skip
    if port in (LIVE_PORTS if is_paper else PAPER_PORTS):
        _refuse(f"the port {port} is for {'live' if is_paper else 'paper'} accounts, and {account} is none",
                f"set IB_PORT to {PAPER_PORTS if is_paper else LIVE_PORTS} (TWS, Gateway)")  # fmt: skip


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "")
    if not text.isascii() or not text.isdigit():
        _refuse(f"{name} was {text!r}, it is a number", f"set {name} in the environment or in .env")
    return int(text)


def _refuse(what: str, todo: str) -> None:
    raise ProfileError(
        f"Account, port and profile do not agree: {what}.",
        means="nobody knows whose money it would be; nothing was sent",
        todo=todo,
    )
