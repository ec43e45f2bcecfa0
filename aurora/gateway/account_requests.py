"""Requests for positions and account values."""

from __future__ import annotations

from aurora.gateway import messages
from aurora.gateway.gateway import Gateway
from aurora.gateway.messages import error
from aurora.gateway.session import Session
from aurora.gateway.wire import Fields

MAX_SUMMARIES = 2
"""IB's limit of account summaries that a client has at a time."""


def positions(gateway: Gateway, session: Session, fields: Fields) -> None:
    """Answer reqPositions: all positions, the end, and every change from now on."""
    account = gateway.venue.account
    for held in account.positions():
        if held.quantity:
            session.send(messages.position(account.name, gateway.listings[held.symbol], held))
    session.positions = True
    session.send(messages.position_end())


def cancel_positions(gateway: Gateway, session: Session, fields: Fields) -> None:
    """Send no more positions."""
    session.positions = False


def account_updates(gateway: Gateway, session: Session, fields: Fields) -> None:
    """Answer reqAccountUpdates: values and portfolio now, then every three minutes."""
    fields.skip(1)
    session.account_updates = fields.flag()
    if session.account_updates:
        gateway.send_account(session)
        session.send(messages.account_download_end(gateway.venue.account.name))


def summary(gateway: Gateway, session: Session, fields: Fields) -> None:
    """Answer reqAccountSummary, or 322 for a third one."""
    fields.skip(1)
    request_id = fields.whole()
    fields.skip(1)  # the group: there is one account
    tags = tuple(tag.strip() for tag in fields.text().split(","))
    if len(session.summaries) >= MAX_SUMMARIES:
        text = "Error processing request. Maximum number of account summary requests exceeded"
        session.send(error(request_id, 322, text))
        return
    session.summaries[request_id] = tags
    gateway.send_summary(session, request_id)
    session.send(messages.account_summary_end(request_id))


def cancel_summary(gateway: Gateway, session: Session, fields: Fields) -> None:
    """Send no more of a summary."""
    fields.skip(1)
    session.summaries.pop(fields.whole(), None)


def multi(gateway: Gateway, session: Session, fields: Fields) -> None:
    """Answer reqAccountUpdatesMulti: values now, then every three minutes."""
    fields.skip(1)
    request_id = fields.whole()
    session.multi_updates.add(request_id)
    gateway.send_multi(session, request_id)
    session.send(messages.account_update_multi_end(request_id))


def cancel_multi(gateway: Gateway, session: Session, fields: Fields) -> None:
    """Send no more of those."""
    fields.skip(1)
    session.multi_updates.discard(fields.whole())
