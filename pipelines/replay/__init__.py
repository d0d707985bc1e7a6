"""A finished run under other settings: `whatif` and `apply`."""
