"""Requests for positions and account values."""

from __future__ import annotations

from aurora.gateway import messages
from aurora.gateway.gateway import Call
from aurora.gateway.messages import error

MAX_SUMMARIES = 2
"""IB's limit of account summaries that a client has at a time."""


def positions(call: Call) -> None:
    """Answer reqPositions: all positions, the end, and every change from now on."""
    for held in call.gateway.venue.account.positions():
        if held.quantity:
            call.gateway.reports.send_position(call.session, held)
    call.session.positions = True
    call.session.send(messages.position_end())


def cancel_positions(call: Call) -> None:
    """Send no more positions."""
    call.session.positions = False


def account_updates(call: Call) -> None:
    """Answer reqAccountUpdates: values and portfolio now, then every three minutes."""
    call.fields.skip(1)
    call.session.account_updates = call.fields.flag()
    if call.session.account_updates:
        call.gateway.reports.send_updates(call.session)
        call.session.send(messages.account_download_end(call.gateway.venue.account.name))


def summary(call: Call) -> None:
    """Answer reqAccountSummary, or 322 for a third one."""
    call.fields.skip(1)
    request_id = call.fields.whole()
    call.fields.skip(1)  # the group: there is one account
    tags = tuple(tag.strip() for tag in call.fields.text().split(","))
    if len(call.session.summaries) >= MAX_SUMMARIES:
        text = "Error processing request. Maximum number of account summary requests exceeded"
        call.session.send(error(request_id, 322, text))
        return
    call.session.summaries[request_id] = tags
    call.gateway.reports.send_summary(call.session, request_id)
    call.session.send(messages.account_summary_end(request_id))


def cancel_summary(call: Call) -> None:
    """Send no more of a summary."""
    call.fields.skip(1)
    call.session.summaries.pop(call.fields.whole(), None)


def multi(call: Call) -> None:
    """Answer reqAccountUpdatesMulti: values now, then every three minutes."""
    call.fields.skip(1)
    request_id = call.fields.whole()
    call.session.multi_updates.add(request_id)
    call.gateway.reports.send_multi(call.session, request_id)
    call.session.send(messages.account_update_multi_end(request_id))


def cancel_multi(call: Call) -> None:
    """Send no more of those."""
    call.fields.skip(1)
    call.session.multi_updates.discard(call.fields.whole())
