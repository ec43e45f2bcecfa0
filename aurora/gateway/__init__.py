"""A simulated IB Gateway: it speaks the TWS wire protocol, so that unchanged clients connect, get data and trade."""
