"""Frames and fields."""

from __future__ import annotations

from decimal import Decimal

import pytest

from aurora.gateway.wire import MAX_FRAME, FieldError, Fields, FrameReader, WireError, encode_field, pack, split_fields
from tests.gateway.kit import frame


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, b""), (True, b"1"), (False, b"0"), (7, b"7"), (Decimal("0.10"), b"0.10"), (Decimal("1E+3"), b"1000"),
        ("SPY", b"SPY"), ("Crédit\\x", b"Cr\\xe9dit\\\\x"), ("a\0b", b"a\\x00b"),
    ],
)  # fmt: skip
def test_fields_are_written_as_the_wire_has_them(value: object, written: bytes) -> None:
    """Nothing is empty, switches are 1 and 0, numbers have no exponent, text is ASCII and can't end its own field."""
    assert encode_field(value) == written


def test_frames_come_whole_however_they_were_cut() -> None:
    """Frames split and merged at every byte boundary are the same frames."""
    stream = pack((1, "a")) + pack(("",)) + pack((2, "bc", None))
    whole = [b"1\0a\0", b"\0", b"2\0bc\0\0"]
    for first in range(len(stream) + 1):
        for second in range(first, len(stream) + 1):
            reader, got = FrameReader(), []
            for part in (stream[:first], stream[first:second], stream[second:]):
                reader.feed(part)
                got += list(reader.frames())
            assert got == whole, (first, second)


@pytest.mark.parametrize("length", [0, MAX_FRAME + 1, 2**32 - 1])
def test_impossible_lengths_end_the_stream(length: int) -> None:
    """A frame of no bytes or of too many is no frame, and is said before its body has come."""
    reader = FrameReader()
    reader.feed(length.to_bytes(4))
    with pytest.raises(WireError, match=str(length)):
        list(reader.frames())


@pytest.mark.parametrize("body", [b"1", b"1\0\xff\0"])
def test_bodies_are_terminated_text(body: bytes) -> None:
    """A body that does not end with NUL, or is no UTF-8, is refused."""
    with pytest.raises(WireError):
        split_fields(body)


def test_pack_and_the_clients_agree() -> None:
    """What the gateway packs is what a client's frame looks like."""
    assert pack((71, 2, 1, "")) == frame(71, 2, 1, "")
    assert split_fields(pack((71, 2, 1, ""))[4:]) == ["71", "2", "1", ""]


@pytest.mark.parametrize("text", ["", "2147483647", "1.7976931348623157e+308", "1.7976931348623157E308"])
def test_unset_numbers_are_none(text: str) -> None:
    """Clients write an unset number in four ways; all of them mean that there is none."""
    assert Fields([text]).number() is None
    assert Fields([text]).whole() == 0


@pytest.mark.parametrize("text", ["x", "NaN", "Infinity", "1e99", "1" * 50, "１２"])
def test_numbers_are_finite_and_short(text: str) -> None:
    """What is no plain number is refused, by the reader of that field."""
    with pytest.raises(FieldError):
        Fields([text]).whole()


def test_fields_end() -> None:
    """Reading behind the last field says how many there were."""
    fields = Fields(["1"])
    fields.skip(1)
    with pytest.raises(FieldError, match="after 1 fields"):
        fields.text()
    with pytest.raises(FieldError, match="neither 0 nor 1"):
        Fields(["2"]).flag()
    with pytest.raises(FieldError, match="whole"):
        Fields(["1.5"]).whole()
