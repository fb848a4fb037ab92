import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rollbackctl.core.errors import InvalidInputError
from rollbackctl.spec.yaml_values import MAX_BYTES, MAX_DEPTH, MAX_VALUES, load_values


def values(data: bytes) -> Any:
    loaded = load_values(data, "p.yaml")
    assert loaded.problems == []
    return loaded.value


def problems(data: bytes) -> list[str]:
    """Give every problem, whether it stopped the parser or not."""
    try:
        return list(map(str, load_values(data, "p.yaml").problems))
    except InvalidInputError as error:
        return list(map(str, error.problems))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("v10", "v10"),
        ("'1.10'", "1.10"),
        ('"010"', "010"),
        ("''", ""),
        ("|\n  a\n  b\n", "a\nb\n"),
        (">\n  a\n  b\n", "a b\n"),
        ("1", 1),
        ("-7", -7),
        ("+7", 7),
        ("9223372036854775808", 2**63),
        ("-9223372036854775808", -(2**63)),
        ("1.5", 1.5),
        (".5", 0.5),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("-1.5E-3", -0.0015),
        ("true", True),
        ("True", True),
        ("TRUE", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("yes", "yes"),
        ("no", "no"),
        ("off", "off"),
        ("tRUE", "tRUE"),
        ("2025-11-18", "2025-11-18"),
        ("2025-11-18T08:00:00Z", "2025-11-18T08:00:00Z"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("0x1f", "0x1f"),
        ("1.2.3", "1.2.3"),
        ("<<", "<<"),
        ("[1, [a, {b: c}]]", [1, ["a", {"b": "c"}]]),
        ("{}", {}),
        ('"zażółć \\u017c"', "zażółć ż"),
        ('"\\U0001F600"', "\N{GRINNING FACE}"),
    ],
)
def test_a_scalar_is_read_as_it_is_written(text: str, value: object) -> None:
    found = values(f"a: {text}".encode())["a"]

    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("data", [b"", b"# only a comment\n", b"---\n", b"null", b"---\n...\n", b"\xef\xbb\xbf"])
def test_an_empty_document_is_none(data: bytes) -> None:
    assert values(data) is None


@pytest.mark.parametrize("data", [b"\xef\xbb\xbfa: 1", b"a: 1\r\n", b"%YAML 1.2\n---\na: 1\n...\n", b"{a: 1}"])
def test_marks_around_a_document_do_not_matter(data: bytes) -> None:
    assert values(data) == {"a": 1}


def test_every_part_has_its_place() -> None:
    loaded = load_values(b'a:\n  - x\n  - {b: 1, "?": 2}\nc: 3\n', "p.yaml")

    assert loaded.places == {
        (): (1, 1),
        ("a",): (1, 1),
        ("a", 0): (2, 5),
        ("a", 1): (3, 5),
        ("a", 1, "b"): (3, 6),
        ("a", 1, "?"): (3, 12),
        ("c",): (4, 1),
    }


def test_a_problem_at_a_place_that_is_not_there_is_at_the_nearest_one_above() -> None:
    loaded = load_values(b"a:\n  b: 1\n", "p.yaml")

    assert str(loaded.problem("c is missing", ("a", "b", "c"))) == "p.yaml:2:3: c is missing"
    assert str(loaded.problem("c is missing", ("a", "x", "y"))) == "p.yaml:1:1: c is missing"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a: &x 1", ["1:4: the anchor 'x' is not allowed; write the value out"]),
        (b"a: 1\nb: *x", ["2:4: the alias 'x' is not allowed; write the value out"]),
        (
            b"&r {a: *r}",
            [
                "1:1: the anchor 'r' is not allowed; write the value out",
                "1:8: the alias 'r' is not allowed; write the value out",
            ],
        ),
        (b"a:\n - &x [1]", ["2:4: the anchor 'x' is not allowed; write the value out"]),
        (b"&k a: 1", ["1:1: the anchor 'k' is not allowed; write the value out"]),
        (b"a: !!str 010", ["1:4: the tag 'tag:yaml.org,2002:str' is not allowed"]),
        (b"a: !!python/name:os.system", ["1:4: the tag 'tag:yaml.org,2002:python/name:os.system' is not allowed"]),
        (b"a: !x\n  b: 1", ["1:4: the tag '!x' is not allowed"]),
        (b"!!map {a: 1}", ["1:1: the tag 'tag:yaml.org,2002:map' is not allowed"]),
        (b"a: ! 1", ["1:4: the tag '!' is not allowed"]),
        (b"a: 1\nb: 2\na: 3", ["3:1: the key 'a' stands twice"]),
        (b'a:\n  b: 1\n  "b": 2', ["3:3: the key 'b' stands twice"]),
        (b"{a: 1, a: 2, a: 3}", ["1:8: the key 'a' stands twice", "1:14: the key 'a' stands twice"]),
        (b"1.10: x", ["1:1: the key 1.10 is not text; write it in quotes"]),
        (b"010: x", ["1:1: the key 010 is not text; write it in quotes"]),
        (b"a:\n  true: x", ["2:3: the key true is not text; write it in quotes"]),
        (b"~: x", ["1:1: the key ~ is not text; write it in quotes"]),
        (b"null: x", ["1:1: the key null is not text; write it in quotes"]),
        (b"? [a]\n: x", ["1:3: the key is not text but a list or a mapping"]),
        (b"? {a: b}\n: x", ["1:3: the key is not text but a list or a mapping"]),
        (b": x", ["1:1: the key is empty"]),
        (b"a: .nan", ["1:4: .nan is not a finite number of at most 64 bits"]),
        (b"a: -.NaN", ["1:4: -.NaN is not a finite number of at most 64 bits"]),
        (
            b"a: [.inf, +.INF, -.Inf]",
            [f"1:{place} is not a finite number of at most 64 bits" for place in ("5: .inf", "11: +.INF", "18: -.Inf")],
        ),
        (b"a: 1e999", ["1:4: 1e999 is not a finite number of at most 64 bits"]),
        (b"a: 9223372036854775809", ["1:4: 9223372036854775809 is not a finite number of at most 64 bits"]),
        (b"a: " + b"9" * 5000, [f"1:4: {'9' * 40}… is not a finite number of at most 64 bits"]),
        (b'a: "x\\ud800"', ["1:4: a lone surrogate is not text"]),
        (b'"\\uDC00": 1', ["1:1: a lone surrogate is not text"]),
        (b"a: 1\n---\nb: 2\n", ["2:1: a second document; the file must hold one"]),
        (b"--- 1\n--- 2\n--- 3\n", ["2:1: a second document; the file must hold one"]),
        (b"a: 1\nb: '\xff'", ["2:5: the file is not UTF-8"]),
        (b"z\xc5\xbc: \xed\xa0\x80", ["1:5: the file is not UTF-8"]),
        (b"a: 1\nb: \x1b[0m", ["2:4: not YAML: the character U+001B is not allowed"]),
        (b"\x00", ["1:1: not YAML: the character U+0000 is not allowed"]),
        (b"a: [1", ["1:6: not YAML: expected ',' or ']', but got '<stream end>'"]),
        (b"a:\n\t- b", ["2:1: not YAML: found character '\\t' that cannot start any token"]),
        (b"a: @b", ["1:4: not YAML: found character '@' that cannot start any token"]),
        (b"%YAML 2.0\n---\na: 1", ["1:1: not YAML: found incompatible YAML document (version 1.* is required)"]),
        (b'a: 1\nb: "\\U00110000"', ["2:5: not YAML: the escape \\U00110000 is no character"]),
        (b'"\\UFFFFFFFF": 1', ["1:2: not YAML: the escape \\UFFFFFFFF is no character"]),
    ],
)  # fmt: skip
def test_what_could_be_misread_is_refused_with_line_and_column(data: bytes, expected: list[str]) -> None:
    assert problems(data) == [f"p.yaml:{problem}" for problem in expected]


def test_all_problems_are_given_at_once_up_to_where_the_parser_stops() -> None:
    data = b"a: &x 1\nb: !t .inf\na: 2\n1: x\nc: [\n"

    assert problems(data) == [
        "p.yaml:1:4: the anchor 'x' is not allowed; write the value out",
        "p.yaml:2:4: the tag '!t' is not allowed",
        "p.yaml:2:4: .inf is not a finite number of at most 64 bits",
        "p.yaml:3:1: the key 'a' stands twice",
        "p.yaml:4:1: the key 1 is not text; write it in quotes",
        "p.yaml:6:1: not YAML: expected the node content, but found '<stream end>'",
    ]


def test_a_document_of_the_greatest_size_is_read_and_one_byte_more_is_refused() -> None:
    comment = b"#" * (MAX_BYTES - 5)

    assert values(comment + b"\na: 1") == {"a": 1}
    assert problems(comment + b"#\na: 1") == [
        f"p.yaml: the file has {MAX_BYTES + 1} bytes; at most {MAX_BYTES} are read"
    ]


def test_the_greatest_depth_is_read_and_one_level_more_is_refused() -> None:
    deep = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH

    assert len(str(values(deep))) == 2 * MAX_DEPTH
    assert problems(b"\n[" + deep + b"]") == [
        f"p.yaml:2:{MAX_DEPTH + 1}: not YAML: nested deeper than {MAX_DEPTH} levels"
    ]
    assert problems(b"[" * 200_000) == [f"p.yaml:1:{MAX_DEPTH + 1}: not YAML: nested deeper than {MAX_DEPTH} levels"]


def test_a_document_of_more_values_than_a_plan_can_need_is_refused_soon() -> None:
    many = b"[" + b"1," * (MAX_VALUES - 1) + b"]"
    too_many = b"[" + b"1," * 130_000 + b"]"

    assert len(values(many)) == MAX_VALUES - 1
    assert problems(too_many) == [f"p.yaml:1:{2 * MAX_VALUES}: more than {MAX_VALUES} values"]


def test_a_refusal_is_an_invalid_input_with_a_hint() -> None:
    with pytest.raises(InvalidInputError) as caught:
        load_values(b"\xff", "plans/x.yaml")

    assert caught.value.problem == "plans/x.yaml cannot be read"
    assert caught.value.hint == "mend the file and run the command again; nothing was changed"


pieces = st.sampled_from(
    [
        *("a", "b", ": ", "- ", "? ", "\n", "\n  ", "\t", "[", "]", "{", "}", ", ", "|\n", ">-\n", "'", '"', "#", " #"),
        *("&x ", "*x", "!t ", "!!str ", "!<u> ", "!%C3 ", "!%FF ", "<<: ", "=", "---\n", "...\n"),
        *("%YAML 1.1\n", "%YAML 1." + "9" * 5000 + "\n", "%TAG ! x\n"),
        *("\\ud800", "\\U00110000", "\\x00", "\\", "1", ".5", "-.Inf", "010", "1e999", "~", "true"),
        *("\x85", "\u2028", "\ufeff", "\x00", "\N{GRINNING FACE}"),
    ]
)


@given(st.binary(max_size=64) | st.lists(pieces, max_size=20).map(lambda parts: "".join(parts).encode()))
@example(b"%YAML 1." + b"9" * 5000 + b"\n--- a")
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        loaded = load_values(data, "p.yaml")
    except InvalidInputError as error:
        found, places = list(map(str, error.problems)) or ["refused, and no problem is named"], {}
    else:
        found, places = list(map(str, loaded.problems)), loaded.places

    assert all(re.match(r"p\.yaml:\d+:\d+: ", problem) for problem in found)
    assert all(line >= 1 and column >= 1 for line, column in places.values())


readable = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]))
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | readable,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("ab c:#'1~", min_size=1, max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(plain)
def test_json_is_read_as_the_value_that_it_is(value: object) -> None:
    found = load_values(json.dumps(value, ensure_ascii=False).replace("\ufeff", "").encode(), "p.yaml")

    expected = json.loads(json.dumps(value, ensure_ascii=False).replace("\ufeff", ""))
    assert (found.value, found.problems) == (expected, [])
