"""Tripwires, circuit breaker and kill switch: what stops a session."""
