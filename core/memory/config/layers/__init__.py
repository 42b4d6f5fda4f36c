"""Which layer of a config.json keeps what: kinds, widths of its own, and whose keys it reads."""
