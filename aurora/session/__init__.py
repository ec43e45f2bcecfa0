"""A trading session: the loop, its strategy and its recorder."""
