"""Every Python that has this folder on its path lives so many seconds ahead: sessions need the exchange's hours.

Only checks and tests put it there, for commands on a simulated gateway that is as far ahead.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from aurora.clock import SystemClock

_AHEAD = timedelta(seconds=float(os.environ["AURORA_AHEAD_S"]))


def _now(_: SystemClock) -> datetime:
    return datetime.now(UTC) + _AHEAD


SystemClock.now = _now  # type: ignore[assignment, method-assign]
