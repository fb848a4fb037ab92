"""`python -m rollbackctl`."""

from rollbackctl.cli.main import run

if __name__ == "__main__":
    run()
