"""Reports (and, later, signed evidence) computed from journals."""
