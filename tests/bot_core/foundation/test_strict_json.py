import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_core.foundation.digest import canonical_digest, canonical_json, sha256_hex
from bot_core.foundation.errors import FileFormatError
from bot_core.foundation.strict_json import encode_json, parse_json, parse_object

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


@given(values, st.booleans(), st.sampled_from([None, 2]))
def test_what_is_encoded_is_read_back(value: object, sort_keys: bool, indent: int | None) -> None:
    assert parse_json(encode_json(value, sort_keys=sort_keys, newline=True, indent=indent), "x") == value


@given(values)
def test_ascii_escapes_are_read_like_the_characters(value: object) -> None:
    assert parse_json(json.dumps(value).encode(), "x") == value


@pytest.mark.parametrize(
    ("data", "line", "problem"),
    [
        (b'\xef\xbb\xbf{"a": 1}', 1, "begins with a byte order mark"),
        (b'{\n"a": "\xff"}', 2, "not UTF-8"),
        (b"", 1, "Expecting value"),
        (b'{"a": 1,\n}', 2, "Illegal trailing comma before end of object"),
        (b'{"a": 1} x', 1, "Extra data"),
        (b"[\n\nNaN]", 3, "NaN is not a finite number of at most 64 bits"),
        (b'{"a":\n-Infinity}', 2, "-Infinity is not a finite number of at most 64 bits"),
        (b"[1,\n1e999]", 2, "1e999 is not a finite number of at most 64 bits"),
        (b"[1,\n9223372036854775809]", 2, "9223372036854775809 is not a finite number of at most 64 bits"),
        (b"\n" + b"9" * 1_000_000, 2, "9" * 40 + "… is not a finite number of at most 64 bits"),
        (b"[\n" + b"3" * 20 + b'. 3"}', 2, "3" * 20 + ". is not a finite number of at most 64 bits"),
        (b'{"a": {"b": 1},\n"c": "a",\n"a": 2}', 3, "key 'a' is given twice"),
        (b'[{"a": 1}, {"a": 1, "b": ["b"],\n\n"b": 1}]', 3, "key 'b' is given twice"),
        (b'{"a": "\\\\",\n"\\u0061": 1}', 2, "key 'a' is given twice"),
        (b'[\n"\\ud800"]', 2, r"lone surrogate in '\ud800'"),
        (b'{"x": 1,\n"\\uDC00": 1}', 2, r"lone surrogate in '\udc00'"),
        (b"[" * 64 + b"\n[]" + b"]" * 64, 2, "nested deeper than 64 levels"),
        (b'{"a":' * 100_000, 1, "nested deeper than 64 levels"),
        (b"[" * 65 + b"]" * 65, 1, "nested deeper than 64 levels"),
    ],
)
def test_what_could_be_misread_is_refused_with_its_line(data: bytes, line: int, problem: str) -> None:
    with pytest.raises(FileFormatError) as caught:
        parse_json(data, "some/file.json")

    if "trailing comma" not in problem:  # worded by the interpreter, differently from 3.13 on
        assert caught.value.problem == f"some/file.json, line {line}: {problem}"
    assert (caught.value.path, caught.value.line) == ("some/file.json", line)


PIECES = st.sampled_from(
    [*'{}[]:,". -eE\\', "1", "0", "3" * 20, "1e999", "NaN", "Infinity", '"a"', '"a":', "\\ud800", "["]
)


@given(st.lists(PIECES).map("".join))
def test_any_text_is_a_value_or_is_refused_with_a_line(text: str) -> None:
    line: int | None = 1
    try:
        parse_json(text.encode(), "x")
    except FileFormatError as error:
        line = error.line
    assert line


def test_sixty_four_levels_are_read() -> None:
    assert parse_json(b"[" * 64 + b"]" * 64, "x") is not None


def test_surrogate_pairs_and_escaped_backslashes_are_read() -> None:
    assert parse_json(rb'["\ud83d\ude00", "\\ud800"]', "x") == ["😀", r"\ud800"]


def test_the_top_level_can_be_demanded_to_be_an_object() -> None:
    assert parse_object(b'{"a": 1}', "x") == {"a": 1}
    with pytest.raises(FileFormatError, match="the top level is not an object"):
        parse_object(b"[]", "x")


def test_nothing_that_could_not_be_read_back_is_written() -> None:
    for value in (float("nan"), float("inf"), "\ud800"):
        with pytest.raises(ValueError):  # noqa: PT011
            encode_json(value)


def test_the_layout_is_the_engines() -> None:
    assert encode_json({"b": "ą", "a": 1}, sort_keys=True, newline=True) == '{\n  "a": 1,\n  "b": "ą"\n}\n'.encode()
    assert encode_json({"b": 1, "a": 2}, indent=None) == b'{"b": 1, "a": 2}'


def test_equal_values_have_equal_digests_whatever_their_order() -> None:
    assert canonical_json({"b": [1.5], "a": "ą"}) == '{"a":"ą","b":[1.5]}'.encode()
    assert canonical_digest({"b": 1, "a": 2}) == canonical_digest({"a": 2, "b": 1}) == sha256_hex(b'{"a":2,"b":1}')
    # FIPS 180-2, appendix B.1
    assert sha256_hex(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
