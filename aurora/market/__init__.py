"""What instruments, quotes, orders and positions are: values only, no I/O."""
