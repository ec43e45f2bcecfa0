"""The process that delivers one alert to one address: what hangs in it is killed with it, and holds up nobody.

stdin: the address and the alert, as JSON        stdout: what came of it, as JSON
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from aurora.alerts.address import read_address
from aurora.alerts.base import Alert, Priority
from aurora.alerts.by_apprise import deliver
from aurora.alerts.web import Answer

LIFETIME_S = 30


def main() -> None:
    """Deliver what stdin says."""
    said = json.load(sys.stdin)
    signal.alarm(int(said["timeout_s"]) + LIFETIME_S)  # its parent kills it earlier; one whose parent died ends by this
    sys.stdout.write(json.dumps(asdict(answer_to(said))))


def answer_to(said: Mapping[str, Any]) -> Answer:
    """Deliver the alert in `said` to the address in it; return what came of it."""
    address = read_address(said["address"], said["name"])
    if isinstance(address, str):
        return Answer(False, address)
    at, priority = datetime.fromisoformat(said["at"]), Priority(said["priority"])
    alert = Alert(said["title"], said["text"], priority, tuple(said["tags"]), at)
    return deliver(address, alert, said["timeout_s"])


if __name__ == "__main__":
    main()
