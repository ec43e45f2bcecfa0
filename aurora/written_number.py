"""A number as somebody wrote it, in a file, on the command line or on the wire: exact, or none that anybody means."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation


def read_number(text: str, most: int) -> Decimal | None:
    """Return the number that `text` writes in decimal; None for one above 1e`most`, or that much below one.

    An exponent that decimal itself can't hold is as far away. `text` is known to be a number.
    """
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return None if abs(number.adjusted()) > most else number
