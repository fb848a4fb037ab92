import json

import pytest

from bot_core.ai.drift.assess import FeatureDrift
from rollbackctl.core.data_drift import MovedFeature, MovedSegment, VersionDrift, WindowFact
from rollbackctl.core.ranking import Ranked, Ranking
from rollbackctl.data_drift.measure import Measured
from rollbackctl.render.data_drift import render_features
from rollbackctl.render.targets import render_json, render_markdown, render_text
from tests.hostile import NAMES
from tests.rollbackctl.render.test_escape import hidden
from tests.rollbackctl.render.test_markdown import blocks, dangers


def ranking(text: str) -> Ranking:
    """A ranking in which every text that can be somebody's choice is this one."""
    feature = MovedFeature(feature=text, measures={"psi": 0.5}, values=9, certain=True, drifted=True, new_names=(text,))
    measured = VersionDrift(
        version=text,
        source=text,
        features=(feature,),
        segments=(MovedSegment(segment=text, value=text, rows=9, worst=feature),),
        inputs={text: text},
    )
    rows = tuple(
        Ranked(text, verdict, text, text, text, "beyond", 2.0, f"PSI of {text}", found, (text, text))
        for verdict, found in (
            ("chosen", measured),
            ("rejected", measured.model_copy(update={"problem": text})),
            ("withdrawn", None),
        )
    )
    window = WindowFact(path=text, rows=9, files=1, first=text, last=text)
    return Ranking(text, text, text, f"{text} is the target", window, {"psi": 0.25}, rows)


def features(text: str) -> str:
    item = FeatureDrift(text, {"psi": 0.5}, 9, 0.001, new_names=(text,))
    return render_features(text, Measured(WindowFact(path=text, rows=9, files=1), text, 9, (item,)), {"psi": 0.25})


@pytest.mark.parametrize("name", NAMES)
def test_no_name_steers_a_terminal_or_makes_a_line(name: str) -> None:
    for render in (lambda text: render_text(ranking(text)), features):
        text = render(NAMES[name])

        assert hidden(text.replace("\n", "")) == []
        assert text.count("\n") == render("name").count("\n")


@pytest.mark.parametrize("name", NAMES)
def test_no_name_is_read_as_markdown(name: str) -> None:
    text = render_markdown(ranking(NAMES[name]))

    assert [danger for danger in dangers(text) if danger != "table_open"] == []
    assert hidden(text.replace("\n", "")) == []
    assert blocks(text) == blocks(render_markdown(ranking("name")))


@pytest.mark.parametrize("name", NAMES)
def test_json_is_ascii_and_says_the_name_as_it_is(name: str) -> None:
    text = render_json(ranking(NAMES[name]))

    assert text.isascii()
    assert json.loads(text)["versions"][0]["version"] == NAMES[name]


def test_without_a_window_the_ranking_says_that_it_was_not_asked_for() -> None:
    row = Ranked("v9", "chosen", "", "no bundle", "", None, 0.0, "", None, ("signed: risk approved",))
    found = Ranking("INC-1", "v10", "v9", "v9 is the target", None, {}, (row,))

    assert render_text(found) == (
        "Targets   INC-1   v9 is the target\n\n"
        "  version   verdict   data drift   of its limit   furthest from training\n"
        "> v9        chosen    not asked\n\n"
        "  v9        signed: risk approved\n"
    )
    assert "Window" not in render_markdown(found)
