"""The smoke test of the decision loop with the model that serves; see `--help`, and docs/decisions.md."""

import sys

from bot_core.decision.smoke_command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
