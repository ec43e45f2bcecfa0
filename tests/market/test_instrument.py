from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from aurora.market.instrument import Instrument
from aurora.market.order import Side

PRICES = st.decimals(min_value="0.01", max_value="10000", places=6)


@given(PRICES, st.sampled_from(Side))
def test_rounding_is_passive_and_on_the_grid(price: Decimal, side: Side) -> None:
    """Trading rule 6: limits round passively to the tick: never more aggressive, less than a tick away."""
    instrument = Instrument("SPY")
    rounded = instrument.round_passively(price, side)
    assert rounded % instrument.tick == 0
    assert 0 <= (price - rounded) * side.sign < instrument.tick
