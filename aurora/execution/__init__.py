"""Orders on their way to a broker: the router is the only door."""
