"""The named checks that say whether this code and these data are fit to trade on; a CI calls them as runbooks."""
