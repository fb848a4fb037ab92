"""`python -m rollbackctl`."""

from rollbackctl.cli.main import script

if __name__ == "__main__":
    script()
