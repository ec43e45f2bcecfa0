"""Interactive Brokers: the only folder that imports its client library."""
