"""Brokers: the port in `base`, one implementation a module."""
