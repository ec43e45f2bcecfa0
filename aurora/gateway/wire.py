"""The wire: length-prefixed frames of NUL-terminated text fields, cut, put together and read."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from aurora.written_number import read_number

PREFIX = b"API\0"
"""What a client says first; the frames begin after it."""

MAX_FRAME = 1 << 20
"""Bytes of a client's frame; the longest real request has a few thousand."""

_LENGTH = struct.Struct(">I")
_UNSET = frozenset(("", "2147483647", "9223372036854775807", "1.7976931348623157e+308", "1.7976931348623157E308"))
_NUMBER = re.compile(r"[-+]?[0-9]{1,20}(\.[0-9]{0,20})?([eE][-+]?[0-9]{1,3})?")
_MOST_ADJUSTED = 11
"""So that quantity times price still has its cents within the 28 digits that Decimal computes with."""


class WireError(Exception):
    """The bytes are not the protocol; the connection can't go on."""


class FieldError(Exception):
    """A field of a request can't be read; the request is refused, the connection goes on."""


def pack(fields: Iterable[object]) -> bytes:
    """Return one frame that holds `fields`."""
    body = b"".join([encode_field(field) + b"\0" for field in fields])
    return _LENGTH.pack(len(body)) + body


def encode_field(value: object) -> bytes:
    """Return a field as the wire has it: None is empty, a bool is 1 or 0, text beyond ASCII is unicode-escaped."""
    if value is None:
        return b""
    if isinstance(value, bool):
        return b"1" if value else b"0"
    if isinstance(value, Decimal):
        return format(value, "f").encode("ascii")
    return str(value).encode("unicode_escape")


class FrameReader:
    """Cuts a stream of bytes into frames, wherever the stream was split: feed → frames."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        self._data += data

    def take(self, count: int) -> bytes | None:
        """Return the next `count` bytes, or None while they are not all there."""
        if len(self._data) < count:
            return None
        taken = bytes(self._data[:count])
        del self._data[:count]
        return taken

    def frames(self) -> Iterator[bytes]:
        """Yield the body of each whole frame. Raises WireError for a length that no request has."""
        while len(self._data) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._data)
            if not 0 < length <= MAX_FRAME:
                raise WireError(f"a frame said that it has {length} bytes; it has 1 to {MAX_FRAME}")
            if len(self._data) < _LENGTH.size + length:
                return
            body = bytes(self._data[_LENGTH.size : _LENGTH.size + length])
            del self._data[: _LENGTH.size + length]
            yield body


def split_fields(body: bytes) -> list[str]:
    """Return the text fields of a frame. Raises WireError when it is not NUL-terminated UTF-8."""
    if not body.endswith(b"\0"):
        raise WireError("a frame did not end with a NUL")
    try:
        return body[:-1].decode("utf-8").split("\0")
    except UnicodeDecodeError as error:
        raise WireError("a frame was not UTF-8 text") from error


class Fields:
    """The fields of one request, read one after the other. Each reader raises FieldError."""

    def __init__(self, values: Sequence[str]) -> None:
        self._values = values
        self._next = 0

    def text(self) -> str:
        """Return the next field as it is."""
        if self._next >= len(self._values):
            raise FieldError(f"the request ended after {len(self._values)} fields")
        self._next += 1
        return self._values[self._next - 1]

    def skip(self, count: int) -> None:
        """Pass over `count` fields."""
        for _ in range(count):
            self.text()

    def number(self) -> Decimal | None:
        """Return a finite number, or None where the client left it unset."""
        text = self.text()
        if text in _UNSET:
            return None
        value = read_number(text, _MOST_ADJUSTED) if _NUMBER.fullmatch(text) else None
        if value is None:
            raise FieldError(f"{text[:60]!r} is no number below 1e{_MOST_ADJUSTED + 1}")
        return value

    def whole(self) -> int:
        """Return a whole number; 0 where the client left it unset."""
        value = self.number()
        if value is None:
            return 0
        if value != value.to_integral_value():
            raise FieldError(f"{value} is not a whole number")
        return int(value)

    def flag(self) -> bool:
        """Return a switch: 1 or true, 0 or false, or unset."""
        text = self.text().lower()
        if text not in ("", "0", "1", "true", "false"):
            raise FieldError(f"{text[:60]!r} is neither 0 nor 1")
        return text in ("1", "true")
