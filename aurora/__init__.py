"""Aurora: a declarative runbook engine for live trading."""

__version__ = "0.1.0"
