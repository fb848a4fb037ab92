"""Open exposure, as a risk snapshot tells of it; shown, never touched."""

from pathlib import Path

from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.safe_file import read_given
from bot_core.foundation.strict_json import JsonValue, parse_object

_MAX_BYTES = 16 * 1024 * 1024  # as much as the engine reads of it


def read_exposure(path: Path) -> tuple[str, ...]:
    """Return one line per open position; a snapshot that cannot be read is a line that says so, never an error."""
    try:
        profiles = parse_object(read_given(path, max_bytes=_MAX_BYTES), path.name)
    except OSError as error:
        return (f"{path.name} cannot be read: {error.strerror}",)
    except BotCoreError as error:
        return (error.problem,)
    return tuple(line for name, profile in sorted(profiles.items()) for line in _positions(name, profile))


def _positions(name: str, profile: JsonValue) -> list[str]:
    positions = profile.get("positions") if isinstance(profile, dict) else None
    if not isinstance(positions, dict):
        return []
    return [
        f"{name}: {symbol} {position.get('side', '?')} {position.get('notional', '?')}"
        for symbol, position in sorted(positions.items())
        if isinstance(position, dict)
    ]
