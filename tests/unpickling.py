"""An audit hook for all tests: no code of ours ever unpickles anything, not even what it then catches and forgets."""

import sys
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).parents[1]
OURS = tuple(f"{ROOT / package}/" for package in ("bot_core", "rollbackctl"))
# Dask's processes send each other pickles, and they know each other: docs/adr/0020. Nothing else of ours is exempt.
CLUSTER = str(ROOT / "bot_core/ai/drift/cluster.py")


class UnpickledError(BaseException):
    """A class or function was looked up for a pickle below a call of ours; what catches `Exception` does not see it."""


def watch(event: str, arguments: tuple[object, ...]) -> None:
    """End the test in which a pickle is loaded below a call of ours.

    Raises:
        UnpickledError: It was.
    """
    if event == "pickle.find_class" and (place := _place_of_ours(sys._getframe(1))):
        raise UnpickledError(f"{arguments} is looked up for a pickle at {place}")


def _place_of_ours(frame: FrameType | None) -> str:
    while frame is not None:
        if frame.f_code.co_filename.startswith(OURS):
            return "" if frame.f_code.co_filename == CLUSTER else f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


sys.addaudithook(watch)
