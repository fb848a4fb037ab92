from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot_core.config.auto_trader import MaintenanceFlag, read_maintenance, set_maintenance
from bot_core.foundation.errors import FileFormatError

FIXTURE = Path(__file__).parents[2] / "fixtures" / "ws_public" / "config" / "auto_trader.yaml"
SOURCE = "config/auto_trader.yaml"

ON = ["true", "True", "TRUE", "yes", "Yes", "on", "ON", '"true"', "'yes'"]
OFF = ["false", "False", "FALSE", "no", "No", "NO", "off", "Off", '"false"', "'no'", "~", "null", "", "!!bool false"]
TOKENS = st.sampled_from(ON + OFF)
COMMENTS = st.sampled_from(["", "  # set to true by runbooks", " # żółw: {a}"])
NEIGHBOURS = st.lists(
    st.sampled_from(
        [
            "enabled: true",
            "<<: *base",
            "symbols: [BTCUSDT, 'maintenance: no']",
            "",
            "# maintenance: true",
            "'a b': \"x\"",
        ]
    ),
    max_size=3,
    unique=True,
)


@st.composite
def block_files(draw: st.DrawFn) -> tuple[str, str | None]:
    """A file with a block section, and the flag's own token in it (None: no such key)."""
    indent = " " * draw(st.integers(1, 4))
    token = draw(st.none() | TOKENS)
    key = draw(st.sampled_from(["maintenance", '"maintenance"', "'maintenance'"]))
    gap = draw(st.sampled_from([" ", "   "]))
    own = [] if token is None else [f"{key}:{gap if token else ''}{token}{draw(COMMENTS)}"]
    section = [*draw(NEIGHBOURS), *own, *draw(NEIGHBOURS.filter(lambda lines: "<<: *base" not in lines)), "last: 1"]
    base = draw(st.sampled_from(["x: 1", "maintenance: yes"]))
    lines = [f"base: &base {{{base}}}", "", f"auto_trader:{draw(COMMENTS)}"]
    lines += [indent + line if line else line for line in section]
    lines += draw(st.sampled_from([[], ["other:", "  maintenance: true"], ["# the end"]]))
    ending = draw(st.sampled_from(["\n", "\r\n"]))
    unique = [line for place, line in enumerate(lines) if line == "" or line not in lines[:place]]
    return ending.join(unique) + draw(st.sampled_from(["", ending])), token


@st.composite
def flow_files(draw: st.DrawFn) -> tuple[str, str | None]:
    """A file with a flow section on one or several lines."""
    token = draw(st.none() | TOKENS.filter(bool))
    own = [] if token is None else [f"maintenance: {token}"]
    others = draw(st.lists(st.sampled_from(["enabled: true", '"a": 1', "<<: *base"]), max_size=2, unique=True))
    entries = draw(st.permutations(own + others))
    comma = draw(st.sampled_from([", ", ",\n    "]))
    edge = draw(st.sampled_from(["", " "]))
    return f"base: &base {{x: 1}}\nauto_trader: {{{edge}{comma.join(entries)}{edge}}} # c\nb: 2\n", token


def differing_lines(before: bytes, after: bytes) -> int:
    """How many lines of either file have no partner, common beginning and end taken away."""
    old, new = before.split(b"\n"), after.split(b"\n")
    while old and new and old[0] == new[0]:
        del old[0], new[0]
    while old and new and old[-1] == new[-1]:
        del old[-1], new[-1]
    return max(len(old), len(new))


@settings(deadline=None)
@given(case=block_files() | flow_files(), word=st.sampled_from(["true", "false", "on"]))
@example(case=("auto_trader:\n  maintenance: false\n  a: 1\n", "false"), word="true")
@example(case=("auto_trader:\n  maintenance:\n  a: 1\n", ""), word="true")
@example(case=('{"auto_trader":{"maintenance":false}}', "false"), word="true")
@example(case=("auto_trader: {}", None), word="true")
@example(case=("auto_trader:\r\n  a: 1", None), word="true")
def test_setting_and_setting_back_changes_one_line_and_leaves_no_trace(case: tuple[str, str | None], word: str) -> None:
    before = case[0].encode()
    flag = read_maintenance(before, SOURCE)

    after = set_maintenance(before, SOURCE, word)
    back = set_maintenance(after, SOURCE, flag.token)

    assert flag.token == case[1]
    assert read_maintenance(after, SOURCE) == MaintenanceFlag(word != "false", word, flag.rest, exists=True)
    assert differing_lines(before, after) == (flag.token != word)
    assert back == before


def test_the_real_file_changes_in_its_flag_only() -> None:
    before = FIXTURE.read_bytes()

    after = set_maintenance(before, SOURCE, "true")

    assert read_maintenance(before, SOURCE).token == "false"
    assert after == before.replace(b"  maintenance: false  ", b"  maintenance: true  ")
    assert set_maintenance(after, SOURCE, "false") == before


@pytest.mark.parametrize(("token", "value"), [(word, True) for word in ON] + [(word, False) for word in OFF])
def test_every_spelling_of_the_flag_is_understood(token: str, value: bool) -> None:
    flag = read_maintenance(f"auto_trader:\n  a: 1\n  maintenance: {token}\n".encode(), SOURCE)

    assert (flag.value, flag.token, flag.exists) == (value, token, True)


@pytest.mark.parametrize(
    ("merge", "value", "exists"),
    [
        ("<<: *on", True, True),
        ("<<: [*off, *on]", False, True),
        ("<<: [*none, *on]", True, True),
        ("<<: *below", True, True),
        ("<<: *none", False, False),
        ("a: 1", False, False),
    ],
)
def test_an_inherited_flag_is_read_and_put_in_and_taken_out_again(merge: str, value: bool, exists: bool) -> None:
    anchors = "x:\n- &on {maintenance: on}\n- &off {maintenance: off}\n- &none {b: 1}\n- &below {<<: *on}\n"
    before = f"{anchors}auto_trader:\n  # first\n  {merge}\n".encode()
    flag = read_maintenance(before, SOURCE)

    after = set_maintenance(before, SOURCE, "true")

    assert (flag.value, flag.token, flag.exists) == (value, None, exists)
    assert after == f"{anchors}auto_trader:\n  # first\n  maintenance: true\n  {merge}\n".encode()
    assert read_maintenance(after, SOURCE).rest == flag.rest
    assert set_maintenance(after, SOURCE, None) == before
    assert set_maintenance(before, SOURCE, None) == before


def test_an_alias_is_a_token_of_its_own() -> None:
    before = b"flag: &flag off\nauto_trader:\n  a: 1\n  maintenance: *flag # shared\n"

    after = set_maintenance(before, SOURCE, "true")

    assert read_maintenance(before, SOURCE).token == "*flag"
    assert read_maintenance(before, SOURCE).value is False
    assert after == before.replace(b"*flag #", b"true #")
    assert set_maintenance(after, SOURCE, "*flag") == before


def test_a_change_elsewhere_changes_the_rest() -> None:
    files = [
        b"auto_trader:\n  a: 1\n  maintenance: no\n",
        b"auto_trader:\n  a: 2\n  maintenance: no\n",
        b"auto_trader:\n  a: 1\n  maintenance:  no\n",
        b"auto_trader:\n  a: 1\n  maintenance: no # why\n",
        b"auto_trader:\r\n  a: 1\r\n  maintenance: no\r\n",
    ]

    rests = {read_maintenance(data, SOURCE).rest for data in files}

    assert len(rests) == len(files)


@pytest.mark.parametrize(
    ("text", "problem", "line"),
    [
        ("", "top level is not a mapping", 1),
        ("- 1\n", "top level is not a mapping", 1),
        ("a: 1\n", "auto_trader is missing", 1),
        ("auto_trader:\n", "auto_trader is not a mapping", 1),
        ("a: &x {b: 1}\nauto_trader: *x\n", "auto_trader only repeats another section", 2),
        ("auto_trader: {}\nauto_trader: {}\n", "auto_trader is written twice", 2),
        ("auto_trader:\n  maintenance: no\n  maintenance: no\n", "maintenance is written twice", 3),
        ("auto_trader:\n  maintenance: maybe\n", "auto_trader.maintenance is 'maybe', neither true nor false", 2),
        ("auto_trader:\n  maintenance: [no]\n", "auto_trader.maintenance is a collection", 2),
        ('auto_trader:\n  maintenance: "tr\\\n    ue"\n', "is written over several lines", 2),
        ("auto_trader:\n  {maintenance:}\n", "auto_trader.maintenance has no value", 2),
        ("auto_trader: {maintenance}\n", "has no value and no colon", 1),
        ("? auto_trader\n: a: 1\n", "does not begin on a line of its own", 2),
        ("auto_trader: {a: *b}\n", "*b repeats nothing before it", 1),
        ("auto_trader: &a\n  <<: *a\n", "*a repeats nothing before it", 2),
        ("auto_trader: {a: 1\n", "not YAML", 2),
        ("auto_trader: \0\n", "a character that YAML does not allow", None),
        ("auto_trader: {}\n---\nauto_trader: {}\n", "more than one document", 2),
        ("auto_trader: " + "[" * 100 + "]" * 100, "deeper than 64 levels", 1),
        ("auto_trader: {}\n" + "#" * 300_000, "larger than 262144 bytes", None),
    ],
)
def test_a_file_without_a_clear_flag_is_refused_with_its_place(text: str, problem: str, line: int | None) -> None:
    with pytest.raises(FileFormatError) as caught:
        read_maintenance(text.encode(), SOURCE)

    assert problem in caught.value.problem
    assert (caught.value.path, caught.value.line) == (SOURCE, line)


def test_bytes_that_are_not_text_are_refused_with_their_line() -> None:
    with pytest.raises(FileFormatError, match="not UTF-8") as caught:
        read_maintenance(b"auto_trader:\n  a: \xff\n", SOURCE)

    assert caught.value.line == 2


@pytest.mark.parametrize("token", ["maybe", "true\n  b: 2", "true # why", "true, b: 2", "*nowhere", "[", " true"])
@pytest.mark.parametrize("text", ["auto_trader:\n  a: 1\n  maintenance: no\n", "auto_trader: {a: 1}\n"])
def test_a_token_that_would_change_more_than_the_flag_is_refused(token: str, text: str) -> None:
    with pytest.raises(FileFormatError, match="without changing more of the file"):
        set_maintenance(text.encode(), SOURCE, token)


def test_a_flag_that_others_repeat_is_not_changed_for_them() -> None:
    data = b"auto_trader:\n  maintenance: &flag no\nother: *flag\n"

    with pytest.raises(FileFormatError, match="without changing more of the file"):
        set_maintenance(data, SOURCE, "true")


def test_a_flag_that_nobody_put_in_is_not_taken_out() -> None:
    data = b"auto_trader:\n  a: 1\n  maintenance: no\n"

    with pytest.raises(FileFormatError, match="without changing more of the file"):
        set_maintenance(data, SOURCE, None)


def test_a_merge_that_repeats_itself_many_times_is_read_at_once() -> None:
    chain = "".join(f"a{n + 1}: &a{n + 1} {{<<: [{', '.join([f'*a{n}'] * 9)}]}}\n" for n in range(50))
    data = f"a0: &a0 {{x: 1}}\n{chain}auto_trader:\n  <<: *a50\n".encode()

    assert read_maintenance(data, SOURCE).exists is False


@settings(deadline=None)
@given(text=st.text(alphabet="auto_trader: maintenance\n\r{}[]&*<?|>'\"#!%-,~é\x85\u2028\ufeff", max_size=60))
def test_any_text_gives_a_flag_or_a_clear_error(text: str) -> None:
    for data in (text.encode(), f"auto_trader:\n  {text}\n".encode(), f"auto_trader: {{{text}}}\n".encode()):
        with suppress(FileFormatError):
            flag = read_maintenance(data, SOURCE)

            assert set_maintenance(data, SOURCE, flag.token) == data
