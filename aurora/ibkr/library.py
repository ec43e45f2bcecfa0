"""The client library: ib_async, or ib_insync, whose parts that are used here are the same.

Only its lower half is used, the client that speaks the protocol and the decoder. Its upper half keeps orders and quotes
of its own that can't be trusted: an order is called cancelled on notices that leave it alive, and stays "submitted" for
ever when the connection goes.
"""

from __future__ import annotations

import functools
import importlib
from types import ModuleType

from aurora.errors import VenueRefusal

NAMES = ("ib_async", "ib_insync")


@functools.cache
def library() -> ModuleType:
    """Return the first of the libraries that is installed. Raises VenueRefusal."""
    for name in NAMES:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
    raise VenueRefusal(
        "No client of Interactive Brokers is installed.",
        means="no account and no real quote can be reached; nothing was sent",
        todo="pip install 'ib_async'",
    )
