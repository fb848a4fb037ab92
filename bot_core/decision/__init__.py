"""Decisions: which candidates are taken, under which thresholds, scored by which model."""
