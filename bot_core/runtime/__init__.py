"""What the running engine records."""
