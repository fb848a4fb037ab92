"""The compliance checklist: the last post-incident section that names an incident, and its boxes."""

import re

from bot_core.foundation.frozen import frozen

# Of lines without the space at their end: a pattern that looks for it goes through every run of spaces again and again.
_HEADING = re.compile(r"(#{1,6})(?:\s+(.*))?")
_BOX = re.compile(r"(\s*[-*+]\s+\[)([ xX])(\]\s+)(.*)")
_SECTION = "post-incident review"


@frozen
class Box:
    """One tick box: its line (counted from 1), its text and whether it is ticked."""

    line: int
    text: str
    is_ticked: bool


@frozen
class Section:
    """A post-incident review: the line of its heading and its boxes."""

    line: int
    boxes: tuple[Box, ...]

    def box(self, start: str) -> Box | None:
        """Return the last box whose text begins with `start`, without regard to case; None when there is none."""
        matching = [box for box in self.boxes if box.text.lower().startswith(start.lower())]
        return matching[-1] if matching else None


def post_incident_section(text: str, incident: str) -> Section | None:
    """Return the last *Post-incident review* section that names the incident as a whole word.

    The heading or the section's text may name it. None when there is no such section.
    """
    names = re.compile(rf"(?<![\w-]){re.escape(incident)}(?![\w-])", re.IGNORECASE)
    found: Section | None = None
    for first, lines in _sections(text.splitlines()):
        if names.search("\n".join(lines)):
            boxes = tuple(
                Box(first + offset, match[4], match[2] != " ")
                for offset, line in enumerate(lines)
                if (match := _BOX.fullmatch(line.rstrip()))
            )
            found = Section(first, boxes)
    return found


def _sections(lines: list[str]) -> list[tuple[int, list[str]]]:
    """Every post-incident section: the number of its heading's line, and its lines with the heading."""
    found: list[tuple[int, list[str]]] = []
    level = 0
    for number, line in enumerate(lines, 1):
        heading = _HEADING.fullmatch(line.rstrip())
        if heading and (not level or len(heading[1]) <= level):
            level = len(heading[1]) if (heading[2] or "").lower().startswith(_SECTION) else 0
            if level:
                found.append((number, []))
        if level:
            found[-1][1].append(line)
    return found


def set_ticks(text: str, ticks: dict[int, tuple[bool, str]]) -> str:
    """Tick or clear boxes by line number; every other byte stays.

    Args:
        text: The checklist.
        ticks: For each line, whether it shall be ticked, and the note that stands (or no longer stands) behind it.
    """
    lines = text.splitlines(keepends=True)
    for number, (is_ticked, note) in ticks.items():
        line = lines[number - 1]
        body = line.rstrip()
        ending = line[len(body) :]
        match = _BOX.fullmatch(body)
        if match is None:
            raise ValueError(f"line {number} is no tick box")
        bare = match[4].removesuffix(note)
        lines[number - 1] = f"{match[1]}{'x' if is_ticked else ' '}{match[3]}{bare}{note if is_ticked else ''}{ending}"
    return "".join(lines)
