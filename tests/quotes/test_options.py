from __future__ import annotations

from datetime import date, time

import pytest

from aurora.errors import UsageError
from aurora.quotes.options import read_day, read_int, read_rate, read_time, refuse_unknown


def test_missing_options_are_defaults() -> None:
    """An option that is not given is its default, or None."""
    assert (read_int({}, "seed", 7), read_rate({}, "gaps", 6.0)) == (7, 6.0)
    assert (read_day({}), read_time({})) == (None, None)


def test_given_options_are_read() -> None:
    """A given option is read as what it is."""
    options = {"seed": "9", "gaps": "0.5", "day": "2013-10-08", "start": "10:30"}
    assert read_int(options, "seed", 7) == 9
    assert read_rate(options, "gaps", 6.0) == 0.5
    assert read_day(options) == date(2013, 10, 8)
    assert read_time(options) == time(10, 30)


def test_unknown_option_names_the_nearest() -> None:
    """An unknown option is refused with a "did you mean" and the options that there are."""
    with pytest.raises(UsageError) as caught:
        refuse_unknown("dummy", {"sart": "1"}, ("start", "seed"))
    assert "did you mean 'start'" in caught.value.what
    assert "seed, start" in caught.value.todo
