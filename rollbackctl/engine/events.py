"""What a run tells the outside while it goes on; screens and NDJSON are made from it elsewhere."""

from collections.abc import Mapping
from dataclasses import field
from typing import Protocol

from pydantic import JsonValue

from bot_core.foundation.frozen import frozen


@frozen
class Event:
    """One thing that happened: its type as in the interface, a line for a person, fields for a machine."""

    type: str
    message: str
    level: str = "info"
    fields: Mapping[str, JsonValue] = field(default_factory=dict)


class Listener(Protocol):
    """Takes events as they come; it never stops a run."""

    def __call__(self, event: Event) -> None:
        """Take one event."""
