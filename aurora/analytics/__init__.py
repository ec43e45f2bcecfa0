"""What sessions' records add up to: figures only, computed from files."""
