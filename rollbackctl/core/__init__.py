"""The pure half: values and decisions on values; no I/O, clock or randomness."""
