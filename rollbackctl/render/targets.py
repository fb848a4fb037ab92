"""A ranking of versions as text, JSON or Markdown."""

import json
from collections.abc import Iterator

from rollbackctl.core.data_drift import MEASURES, MovedSegment, WindowFact, headline
from rollbackctl.core.plain import plain
from rollbackctl.core.ranking import Ranked, Ranking
from rollbackctl.render.escape import code, markdown
from rollbackctl.render.text import shown

_COLUMNS = ("version", "verdict", "data drift", "of its limit", "furthest from training")


def render_text(ranking: Ranking) -> str:
    """Return the table, then what speaks for or against each version."""
    cells = [_COLUMNS, *(_cells(row) for row in ranking.rows)]
    widths = [max(len(plain(line[column])) for line in cells) for column in range(len(_COLUMNS))]
    lines = [f"Targets   {plain(ranking.incident)}   {plain(ranking.verdict)}"]
    lines += [*(f"{title:<10}{plain(words)}" for title, words in _head(ranking)), ""]
    for line, row in zip(cells, (None, *ranking.rows), strict=True):
        padded = "   ".join(f"{plain(cell):<{width}}" for cell, width in zip(line, widths, strict=True))
        lines.append(("> " if row and row.version == ranking.target else "  ") + padded.rstrip())
    lines.append("")
    width = widths[0]
    source = _source(ranking)
    for row in ranking.rows:
        lines += _indented(row, source, width)
    return "\n".join(lines).rstrip("\n") + "\n"


def render_json(ranking: Ranking) -> str:
    """Return the ranking as sorted, indented JSON in ASCII."""
    return json.dumps(ranking.to_json(), sort_keys=True, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def render_markdown(ranking: Ranking) -> str:
    """Return the ranking for a pull request."""
    source = _source(ranking)
    lines = [f"### Targets for {code(ranking.incident)}: {markdown(ranking.verdict)}", ""]
    for title, words in _head(ranking):
        lines += [f"**{title}:** {': '.join(map(markdown, words.split('   ')))}", ""]
    lines += [f"| {' | '.join(_COLUMNS)} |", f"|{' --- |' * len(_COLUMNS)}"]
    lines += [f"| {' | '.join(_cell(cell) for cell in _cells(row))} |" for row in ranking.rows]
    lines += ["", *(f"- {code(row.version)}: {markdown(line)}" for row in ranking.rows for line in _about(row, source))]
    return "\n".join(lines) + "\n"


def _head(ranking: Ranking) -> Iterator[tuple[str, str]]:
    if ranking.window is not None:
        yield "Window", window_words(ranking.window)
        yield "Limits", ", ".join(f"{MEASURES[name]} {limit:g}" for name, limit in ranking.limits.items())
    if source := _source(ranking):
        yield "Against", f"each version's own {source}"


def _source(ranking: Ranking) -> str:
    """What all versions were measured against; "" where they differ."""
    sources = {row.measured.source for row in ranking.rows if row.measured is not None and row.measured.source}
    return sources.pop() if len(sources) == 1 else ""


def window_words(window: WindowFact) -> str:
    """Say what a window holds, in one line."""
    files = f"{window.files:,} file{'s' if window.files != 1 else ''}"
    span = f", {shown(window.first)} to {shown(window.last)}" if window.first and window.last else ""
    return plain(f"{window.path}   {window.rows:,} rows in {files}{span}")


def _cells(row: Ranked) -> tuple[str, ...]:
    if row.measured is None:
        return (row.version, row.verdict, "not asked", "", "")
    if row.measured.problem is not None:
        return (row.version, row.verdict, row.drift or "no data", "", row.measured.problem)
    caveat = f" ({row.measured.caveat})" if row.measured.caveat else ""
    worst = ", ".join(f"{item.feature} {headline(item)}" for item in row.worst)
    used = f"{row.used:,.0%}, {row.used_by}" if row.used_by else "0%"
    return (row.version, row.verdict, f"{row.drift or 'measured'}{caveat}", used, worst)


def _indented(row: Ranked, source: str, width: int) -> Iterator[str]:
    for number, line in enumerate(_about(row, source)):
        yield f"  {plain(row.version) if not number else '':<{width}}   {shown(line)}"


def _about(row: Ranked, source: str) -> Iterator[str]:
    """What speaks for or against a version, where it has moved furthest, and what it was measured against.

    The last is left out where it is `source`, which the head has said.
    """
    yield from row.reasons
    if row.measured is not None and row.measured.source not in ("", source):
        yield f"measured against the {row.measured.source}"
    if parts := [_segment(part) for part in row.worst_segments]:
        yield f"furthest by segment: {', '.join(parts)}"


def _segment(part: MovedSegment) -> str:
    worst = f"{part.worst.feature} {headline(part.worst)}" if part.worst is not None else "not measured"
    against = "" if part.own else ", against all of training"
    return f"{part.segment} {part.value} {worst} ({part.rows:,} rows{against})"


def _cell(text: str) -> str:
    return markdown(text).replace("|", "\\|") if text else ""
