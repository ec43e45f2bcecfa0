"""Steps that look at quotes."""

from __future__ import annotations

from aurora.engine.context import Context
from aurora.engine.registry import step
from aurora.session.quote_check import QuoteLook, look_at_quotes
from aurora.session.services import Services


@step(repeat="safe")
def look(context: Context[Services], symbols: list[str], quotes: str = "dummy", looks: int = 5) -> QuoteLook:
    """Look at the quotes a second apart: spread and age of each symbol, and which are not fit to decide on."""
    return look_at_quotes(context.services, symbols, quotes, looks)
