"""One version's measurement as text."""

from collections.abc import Mapping

from bot_core.ai.drift.assess import FeatureDrift
from rollbackctl.core.data_drift import MEASURES
from rollbackctl.core.plain import plain
from rollbackctl.data_drift.measure import Measured
from rollbackctl.render.targets import window_words


def render_features(version: str, measured: Measured, limits: Mapping[str, float]) -> str:
    """Return every feature in a table, the one that has moved furthest first."""
    names = [name for name in MEASURES if any(name in item.measures for item in measured.features)]
    lines = [("feature", *(MEASURES[name] for name in names), "values", "")]
    lines += [
        (plain(item.feature), *_figures(item, names), f"{item.values:,}", _word(item, limits))
        for item in measured.features
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = measured.rows
    training = f"{rows:,} rows" if rows is not None else "rows unknown"
    caveat = "   approximate" if any(item.is_approximate for item in measured.features) else ""
    head = [
        f"Data drift   {plain(version)}   against the {plain(measured.source)} ({training}){caveat}",
        f"Window       {window_words(measured.window)}",
        "",
    ]
    body = [
        "   ".join(
            f"{cell:<{width}}" if place == 0 or place == len(line) - 1 else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([*head, *(f"  {line}" for line in body)]) + "\n"


def _figures(item: FeatureDrift, names: list[str]) -> list[str]:
    return [f"{item.measures[name]:.3f}" if name in item.measures else "" for name in names]


def _word(item: FeatureDrift, limits: Mapping[str, float]) -> str:
    beyond = item.beyond(limits)
    if beyond:
        return "beyond " + ", ".join(f"{MEASURES[name]} {limits[name]:g}" for name in MEASURES if name in beyond)
    if item.has_drifted:
        return "drifted"
    return "" if item.is_certain or item.effect < 1 else "may be chance"
