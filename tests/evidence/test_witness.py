from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from aurora.evidence.ledger import Head
from aurora.evidence.witness import SKEW, Witness, announcement, desk_name, saved_witnesses, typed_witness

SHA = "9f" * 32
HEAD = Head(12, SHA)
AT = datetime(2026, 11, 20, 20, tzinfo=UTC)


def test_announcement_is_read_back_from_any_text() -> None:
    """What is announced can be found again in a saved alert, whatever stands around it."""
    text = f"2026 go-live ended green.\n{announcement('canary', HEAD)}\nannounced late"
    assert list(saved_witnesses(text, "canary")) == [Witness(HEAD)]


def test_heads_of_other_desks_are_no_witnesses() -> None:
    """Two desks may use one topic; another desk's head says nothing of this ledger."""
    text = f"{announcement('canary', HEAD)}\n{announcement('other', Head(3, 'ab' * 32))}"
    assert list(saved_witnesses(text, "canary")) == [Witness(HEAD)]


def test_servers_time_is_the_receipt() -> None:
    """An ntfy server's JSON line has the server's own time in it; what the text says of its time counts for nothing."""
    line = {"id": "x", "time": int(AT.timestamp()), "event": "message", "message": announcement("canary", HEAD)}
    assert list(saved_witnesses(json.dumps(line), "canary")) == [Witness(HEAD, AT)]
    for odd in (None, True, "1", -1, 1 << 60, 1.5):
        assert list(saved_witnesses(json.dumps({**line, "time": odd}), "canary")) == [Witness(HEAD)]


@pytest.mark.parametrize(
    "text", ["", "aurora canary 12 9f", "aurora canary x " + SHA, '{"message": 1}', "[1]", "nul\0l"]
)
def test_text_without_a_head_has_none(text: str) -> None:
    """Nothing is read into what is no announcement."""
    assert list(saved_witnesses(text, "canary")) == []


def test_head_can_be_typed_with_its_time() -> None:
    """SEQ:SHA256, and SEQ:SHA256@TIME with the zone of the time."""
    assert typed_witness(f"12:{SHA}") == Witness(HEAD)
    assert typed_witness(f"12:{SHA}@2026-11-20T21:00:00+01:00") == Witness(HEAD, AT)
    assert typed_witness(f"12:{SHA}@2026-11-20T20:00:00Z") == Witness(HEAD, AT)


@pytest.mark.parametrize(
    "word", ["2:abc", SHA, f"x:{SHA}", f"12:{SHA}@", f"12:{SHA}@noon", f"12:{SHA}@2026-11-20T20:00"]
)
def test_what_is_no_head_is_refused(word: str) -> None:
    """A head that is cut, or a time without its zone, is no witness."""
    with pytest.raises(ValueError, match=r"."):
        typed_witness(word)


@pytest.mark.parametrize(("text", "name"), [("my desk", "my-desk"), ("a/b:c", "a-b-c"), ("", "desk"), ("…", "desk")])
def test_desk_names_can_stand_in_a_line_and_a_branch(text: str, name: str) -> None:
    """A folder's name may hold anything; an announcement's has neither spaces nor what a branch may not hold."""
    assert desk_name(text) == name
    assert len(desk_name("x" * 500)) == 60


def test_skew_is_two_minutes() -> None:
    """Facts, attack 22: what was received more than 120 s from the time that it says is looked at."""
    assert timedelta(seconds=120) == SKEW
