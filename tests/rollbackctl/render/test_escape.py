import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbackctl.core.plain import plain
from rollbackctl.render.escape import clip, code, fenced, markdown
from tests.hostile import NAMES

texts = (
    st.text() | st.text("a1 @#<>&`~*_[]()!|$:/.-\\\n\x1b\u200b\u202e", max_size=30) | st.sampled_from([*NAMES.values()])
)
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def hidden(text: str) -> list[str]:
    return [char for char in text if unicodedata.category(char) in HIDDEN or (char.isspace() and char != " ")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("decision-core", "decision-core"),
        ("zgodność Risk", "zgodność Risk"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x00\x7f\x9b", "\\x00\\x7f\\x9b"),
        ("v\u200b9\u202e", "v\\u200b9\\u202e"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_every_character_that_is_hidden_or_breaks_a_line_is_escaped() -> None:
    # Unassigned code points are left to the terminal, but for those that Unicode reserves for unseen characters.
    assert [hex(point) for point in range(sys.maxunicode + 1) if hidden(plain(chr(point)))] == []


@given(texts)
def test_escaping_twice_is_escaping_once(text: str) -> None:
    assert plain(plain(text)) == plain(text)


@given(texts)
def test_a_text_of_visible_characters_stays_as_it_is(text: str) -> None:
    assert plain(text) == text or not text.isprintable() or hidden(text) or not text.isascii()


@given(texts)
def test_nothing_in_a_fence_or_a_code_span_ends_it(text: str) -> None:
    span = code(text)

    assert not hidden(fenced(text))
    assert not set("`<") & set(fenced(text))
    assert (span[0], span[-1], span.count("`")) == ("`", "`", 2)


@given(texts)
def test_prose_outside_of_code_spans_holds_nothing_that_markdown_reads(text: str) -> None:
    prose = "".join(markdown(text).split("`")[::2])

    assert not hidden(prose)
    assert not set("@#<>&~*_[]|$/\\=+{}^") & set(prose)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("drift score 5.12, limit 3.00", "drift score 5.12, limit 3.00"),
        ("data-quality checks failed (again).", "data-quality checks failed (again)."),
        ("the box 'Risk approved' is open", "the box 'Risk approved' is open"),
        ("v10 -> v9", "v10 → v9"),
        ("the alias is_ready: gone", "the alias `is_ready`: gone"),
        ("see a/b.json c/d.json, now", "see `a/b.json c/d.json`, now"),
        ("thanks @team for #12", "thanks `\\x40team` for `#12`"),
        ("1. item", "`1`. item"),
        ("fixed in deadbeef GH-7", "fixed in `deadbeef GH-7`"),
        ("", "` `"),
    ],
)
def test_words_stay_prose_and_all_else_becomes_code(text: str, shown: str) -> None:
    assert markdown(text) == shown


def test_an_address_of_a_person_is_no_mention() -> None:
    assert code("anna@host") == "`anna@host`"


def test_a_text_that_is_cut_says_how_much_is_missing() -> None:
    assert (clip("abc", 3), clip("a" * 1205, 3)) == ("abc", "aaa… (1,202 more characters)")
