"""Text of unknown origin made harmless: what would act is made visible, what is too long is shortened and says so.

Everything that a report shows has passed through here. The result holds no control characters (newline apart, in
blocks), none that change the direction of text or have no width, no lone surrogates, and a stated number of characters
at most. It is plain text still: each renderer escapes it for its own markup.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation

LINE = 240
VALUE = 2_000
BLOCK = 8_000
_DEPTH = 12

# Written out rather than asked of `unicodedata`, whose tables grow with each Python: a report's bytes must not.
_ACTING = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad"  # controls (newline and tab apart), soft hyphen
    "\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # joiners, fillers and marks without width
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffc"  # zero width, bidi, line separators
    "\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff"  # surrogates, private use, noncharacters
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff"  # tags, planes 15 and 16
    "]"
)
# A few marks on one letter are writing; a pile of them covers the lines above and below.
_PILED = re.compile(
    "([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f]{4})"
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f]+"
)


def line(value: object, limit: int = LINE) -> str:
    """Return `value` as one harmless line of about `limit` characters; line ends are shown as a sign."""
    return re.sub(r" ?\n ?", " ⏎ ", _visible(_bounded(value, limit))).replace("\t", " ")


def block(value: object, limit: int = BLOCK, *, end: bool = False) -> str:
    """Return `value` as harmless text that keeps its lines; `end` keeps the last characters rather than the first."""
    return _visible(_bounded(value, limit, end=end)).replace("\t", "    ").strip("\n")


def value_text(value: object, limit: int = VALUE) -> str:
    """Return a JSON value as one harmless line: text bare, NaN and infinity by name, everything else as JSON."""
    return '""' if value == "" else line(value, limit)


def seconds_text(value: object) -> str:
    """Return a number of seconds for people: `12 ms`, `0.41 s`, `3 min 05 s`, `1 h 02 min`; "" when it is none."""
    seconds = number(value)
    if seconds is None:
        return ""
    if not math.isfinite(seconds) or seconds < 0 or seconds > 1e12:
        return line(value, 40)
    if 0 < seconds < 0.0995:
        return f"{seconds * 1_000:.0f} ms" if seconds >= 0.0005 else "under 1 ms"
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60:,} h {minutes % 60:02d} min"


def bytes_text(value: object) -> str:
    """Return a size for people: `812 bytes`, `1.4 MB`; "" when it is none."""
    size = number(value)
    if size is None:
        return ""
    if not math.isfinite(size) or size < 0 or size > 1e24:
        return line(value, 40)
    if size < 1_000:
        return f"{size:.0f} byte{'' if size == 1 else 's'}"
    unit = ""
    for unit in ("kB", "MB", "GB", "TB"):  # noqa: B007 - the last one is used below
        size /= 1_000
        if size < 999.95:
            break
    return f"{size:,.1f} {unit}"


def number(value: object) -> float | None:
    """Return a journal's number (an int, a float, or a decimal as text) as a float; None when it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(Decimal(value)) if len(str(value)) < 40 else None
    except (InvalidOperation, ValueError, OverflowError):
        return None


def _bounded(value: object, limit: int, *, end: bool = False) -> str:
    if isinstance(value, str):
        return _cut(value, limit, end=end)
    pieces: list[str] = []
    used = 0
    for piece in _pieces(value, limit, 0):
        pieces.append(piece)
        used += len(piece)
        if used > limit:
            return f"{''.join(pieces)[:limit]}… [{_extent(value)}, shortened]"
    return "".join(pieces)


def _extent(value: object) -> str:
    if isinstance(value, Mapping | Sequence):
        return f"{len(value):,} entr{'y' if len(value) == 1 else 'ies'}"
    return "a long value"


def _pieces(value: object, limit: int, depth: int) -> Iterator[str]:
    """Yield a JSON value piece by piece, so that a huge one is never written out whole."""
    if isinstance(value, str):
        yield json.dumps(value[: limit + 1], ensure_ascii=False)
    elif value is None or isinstance(value, bool):
        yield {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, int):
        yield str(value) if value.bit_length() < 4_000 else f"an integer of {value.bit_length():,} bits"
    elif isinstance(value, float):
        yield _float_name(repr(value)) or repr(value)
    elif isinstance(value, Mapping):
        yield from _mapping(value, limit, depth)
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        if depth >= _DEPTH and value:
            yield "[…]"
            return
        yield "["
        for index, item in enumerate(value):
            yield ", " * (index > 0)
            yield from _pieces(item, limit, depth + 1)
        yield "]"
    else:
        yield f"a {type(value).__name__}"


def _mapping(value: Mapping[object, object], limit: int, depth: int) -> Iterator[str]:
    name = _float_name(value.get("$float")) if len(value) == 1 else None
    if name:
        yield name
        return
    if depth >= _DEPTH and value:
        yield "{…}"
        return
    yield "{"
    for index, (key, item) in enumerate(value.items()):
        yield ", " * (index > 0)
        yield from _pieces(key if isinstance(key, str) else repr(key), limit, depth)
        yield ": "
        yield from _pieces(item, limit, depth + 1)
    yield "}"


def _float_name(value: object) -> str | None:
    return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(value) if isinstance(value, str) else None


def _cut(text: str, limit: int, *, end: bool) -> str:
    if len(text) <= limit:
        return text
    if end:
        return f"[{len(text):,} characters, the last {limit:,} shown] …{text[-limit:]}"
    return f"{text[:limit]}… [{len(text):,} characters, the first {limit:,} shown]"


def _visible(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    text = _ACTING.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text.replace("\r\n", "\n"))
    return _PILED.sub(r"\1⟨more marks⟩", text)
