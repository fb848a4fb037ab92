import json

import pytest
from hypothesis import given

from rollbackctl.core.document import PlanDocument
from rollbackctl.render.json_text import render
from tests.hostile import NAMES, document
from tests.strategies import documents


@given(documents())
def test_the_json_reads_back_as_the_document(document: PlanDocument) -> None:
    assert json.loads(render(document)) == json.loads(json.dumps(document.to_json()))


@given(documents())
def test_keys_are_sorted_and_a_newline_ends_the_text(document: PlanDocument) -> None:
    text = render(document)

    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True).replace("\x7f", "\\u007f") + "\n"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_it_needs_to_be_escaped_on_a_terminal(name: str) -> None:
    text = render(document(NAMES[name]))

    assert text.isascii()
    assert text.replace("\n", "").isprintable()
