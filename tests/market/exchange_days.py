"""Writes aurora/market/xnys.txt, the table of exchange days, from the package exchange_calendars: `make calendar`."""

from __future__ import annotations

import warnings
from datetime import date, time, timedelta

from aurora.market.calendar import FIRST_DAY, LAST_DAY, TABLE
from aurora.market.hours import CLOSE, OPEN, new_york

HEAD = f"""\
# Days on which the New York Stock Exchange (XNYS) does not trade from {OPEN:%H:%M} to {CLOSE:%H:%M}, weekends left out.
# Written by `make calendar` from the package exchange_calendars; {FIRST_DAY} to {LAST_DAY}. Not to be edited by hand.
"""


def table_text() -> str:
    """Return the table as exchange_calendars has it now."""
    import exchange_calendars  # noqa: PLC0415 - it takes half a second, which only this call is worth

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own quarrel with pandas
        calendar = exchange_calendars.get_calendar("XNYS", start=FIRST_DAY, end=LAST_DAY)
        hours = {
            day.date(): tuple(at.to_pydatetime().astimezone(new_york()).time() for at in (row.open, row.close))
            for day, row in calendar.schedule.iterrows()
        }
    days = (FIRST_DAY + timedelta(count) for count in range((LAST_DAY - FIRST_DAY).days + 1))
    lines = [_line(day, hours.get(day)) for day in days if day.weekday() < 5 and hours.get(day) != (OPEN, CLOSE)]
    return HEAD + "".join(lines)


def _line(day: date, hours: tuple[time, ...] | None) -> str:
    return f"{day} {'closed' if hours is None else ' '.join(f'{at:%H:%M}' for at in hours)}\n"


if __name__ == "__main__":
    TABLE.write_text(table_text(), "utf-8")
