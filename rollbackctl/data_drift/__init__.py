"""Versions held against the production rows of now, for planning and for the check after the restore."""
