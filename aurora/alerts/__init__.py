"""Alerts: telling somebody who is not looking at the screen."""
