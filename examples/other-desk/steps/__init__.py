"""The observatory's step functions."""
