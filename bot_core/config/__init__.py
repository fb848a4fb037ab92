"""The engine's configuration: its values in code, and its files."""
