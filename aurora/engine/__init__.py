"""The runbook engine: loads, lints and walks runbooks; knows nothing of trading."""
