import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_core.decision.candidate_lines import MAX_LINE, Line, document_items, followed_lines, piped_lines
from bot_core.foundation.errors import FileFormatError

TEXTS = st.lists(st.binary(max_size=40).map(lambda text: text.replace(b"\n", b"")), max_size=20)


def never() -> bool:
    return False


def taken(lines: Iterator[Line | None], number: int) -> list[Line]:
    """That many lines, however often there is none at the moment."""
    found: list[Line] = []
    while len(found) < number:
        if (line := next(lines)) is not None:
            found.append(line)
    return found


def piped(data: bytes) -> int:
    """The reading end of a pipe through which `data` comes, and then its end."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(data)

    threading.Thread(target=write).start()
    return reading


@given(texts=TEXTS, is_ended=st.booleans())
def test_every_line_that_is_not_blank_comes_once_with_its_number(texts: list[bytes], is_ended: bool) -> None:
    descriptor = piped(b"\n".join(texts) + b"\n" * is_ended)

    lines = [line for line in piped_lines(descriptor, never) if line is not None]

    os.close(descriptor)
    assert lines == [Line(number, text) for number, text in enumerate(texts, start=1) if text.strip()]


def test_what_was_taken_out_of_a_pipe_is_given_before_the_end() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"first\nsecond\nthi")
    is_told = False
    lines = piped_lines(reading, lambda: is_told)

    found = [next(lines)]
    is_told = True
    os.write(writing, b"rd\nfourth\n")
    found += [line for line in lines if line is not None]

    assert found == [Line(1, b"first"), Line(2, b"second"), Line(3, b"third")]
    assert os.read(reading, 100) == b"fourth\n"
    os.close(reading)
    os.close(writing)


def test_half_a_line_that_does_not_go_on_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot_core.decision.candidate_lines._HALF_LINE_S", 0.02)
    reading, writing = os.pipe()
    os.write(writing, b"first\nsec")

    is_told = False
    lines = piped_lines(reading, lambda: is_told)
    found = [next(lines)]
    is_told = True
    found += [line for line in lines if line is not None]

    assert found == [Line(1, b"first")]
    os.close(reading)
    os.close(writing)


def test_of_a_line_that_is_too_long_only_so_much_is_kept_as_shows_it() -> None:
    descriptor = piped(b"x" * (3 * MAX_LINE) + b"\nnext\n")

    long, following = (line for line in piped_lines(descriptor, never) if line is not None)

    os.close(descriptor)
    assert isinstance(long.value, bytes)
    assert MAX_LINE < len(long.value) < 2 * MAX_LINE
    assert following == Line(2, b"next")


def test_a_followed_file_is_waited_for_and_its_lines_come_as_they_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "candidates.jsonl"
    lines = followed_lines(path, never)
    assert next(lines) is None

    path.write_bytes(b"one\ntwo")
    assert taken(lines, 1) == [Line(1, b"one")]
    assert next(lines) is None
    with path.open("ab") as file:
        file.write(b" and more\nthree\n")

    assert taken(lines, 2) == [Line(2, b"two and more"), Line(3, b"three")]


@pytest.mark.parametrize("is_replaced", [True, False])
def test_a_followed_file_that_is_begun_anew_is_read_from_its_beginning(tmp_path: Path, is_replaced: bool) -> None:
    path = tmp_path / "candidates.jsonl"
    path.write_bytes(b"one\ntwo\n")
    lines = followed_lines(path, never)
    assert taken(lines, 2) == [Line(1, b"one"), Line(2, b"two")]

    if is_replaced:
        path.rename(tmp_path / "candidates.jsonl.1")
        with (tmp_path / "candidates.jsonl.1").open("ab") as file:
            file.write(b"late\n")
        path.write_bytes(b"anew\n")
        assert taken(lines, 1) == [Line(3, b"late")]
    else:
        path.write_bytes(b"anew\n")

    assert taken(lines, 1) == [Line(1, b"anew")]


def test_following_ends_when_it_is_told_to(tmp_path: Path) -> None:
    path = tmp_path / "candidates.jsonl"
    path.write_bytes(b"one\n")
    is_told = False
    lines = followed_lines(path, lambda: is_told)
    found = taken(lines, 1)

    is_told = True

    assert [*found, *lines] == [Line(1, b"one")]


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_document_holds_a_list_or_an_object_with_one(tmp_path: Path, wrapped: bool) -> None:
    path = tmp_path / "candidates.json"
    path.write_text(json.dumps({"candidates": [{"a": 1}, 2]} if wrapped else [{"a": 1}, 2]))

    assert list(document_items(path)) == [Line(1, {"a": 1}), Line(2, 2)]


@pytest.mark.parametrize("text", ["{}", '{"candidates": 1}', "[", "[NaN]"])
def test_another_document_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "candidates.json"
    path.write_text(text)

    with pytest.raises(FileFormatError, match="candidates") as refused:
        list(document_items(path))
    assert refused.value.path == str(path)
