import pytest
from ruamel.yaml.error import MarkedYAMLError

from bot_core.foundation.bounded_yaml import bounded_yaml

# What each level begins and ends with; brackets on one line are what the scanner looks a thousand characters ahead for.
LEVELS = {"[": "]", "{a: ": "}", "- ": "", "? ": "", "[\n": "]"}


@pytest.mark.parametrize(("opening", "closing"), LEVELS.items())
def test_what_is_as_deep_as_allowed_is_read_and_one_level_more_is_refused(opening: str, closing: str) -> None:
    assert list(bounded_yaml(4).parse(opening * 4 + "x" + closing * 4))
    with pytest.raises(MarkedYAMLError, match="nested deeper than 4 levels"):
        list(bounded_yaml(4).parse(opening * 5 + "x" + closing * 5))


def test_it_is_refused_at_its_place_before_what_follows_is_looked_at() -> None:
    with pytest.raises(MarkedYAMLError) as refused:
        bounded_yaml(8).load("a: 1\nb: " + "[" * 100_000)

    assert (refused.value.problem_mark.line, refused.value.problem_mark.column) == (1, 10)


def test_brackets_in_texts_and_comments_are_no_levels() -> None:
    assert bounded_yaml(2).load("a: '[[[[[['\nb: x[[[[[ # [[[[[\n") == {"a": "[[[[[[", "b": "x[[[[["}
