"""Which check blocks and which only advises, as data; and what the sealed runs say for turning one over."""
