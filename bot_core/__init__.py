"""The decision engine's own library: artifacts, repository, serving, reports, journal."""
