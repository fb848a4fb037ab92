import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_core.ai.serving import (
    ServedModel,
    Serving,
    change_serving,
    load_stored,
    read_serving,
    serving_lock,
    store_artifact,
    write_serving,
)
from bot_core.foundation.digest import sha256_hex
from bot_core.foundation.errors import BotCoreError, FileFormatError, IntegrityError, MissingFileError, UnsafePathError

NOW = datetime(2025, 11, 18, 8, 0, tzinfo=UTC)
MODEL = ServedModel("v9", "a" * 64, "models/decision_engine/model-v9.json")

texts = st.text(st.characters(exclude_categories=["Cs"]))
models = st.builds(
    ServedModel,
    version=st.none() | texts,
    sha256=st.integers(0, 2**256 - 1).map(lambda number: f"{number:064x}"),
    source=texts,
    extra=st.dictionaries(texts.map(lambda key: f"x{key}"), st.integers(0, 9)),
)
servings = st.builds(
    Serving,
    attached=st.booleans(),
    default_model=st.none() | texts,
    models=st.dictionaries(texts, models),
    generation=st.integers(0, 2**40),
    extra=st.dictionaries(texts.map(lambda key: f"x{key}"), st.integers(0, 9)),
)


@given(servings)
def test_a_state_is_read_as_it_was_written_unknown_keys_included(serving: Serving) -> None:
    assert Serving.parse(serving.encode(), "serving.json") == serving


def test_the_layout_of_the_file_is_fixed() -> None:
    serving = Serving(attached=False, default_model="rollback", models={"rollback": MODEL}, generation=3)

    lines = [
        "{",
        '  "attached": false,',
        '  "default_model": "rollback",',
        '  "generation": 3,',
        '  "models": {',
        '    "rollback": {',
        f'      "sha256": "{"a" * 64}",',
        '      "source": "models/decision_engine/model-v9.json",',
        '      "version": "v9"',
        "    }",
        "  }",
        "}",
        "",
    ]
    assert serving.encode().decode().split("\n") == lines


def test_no_file_means_attached_with_nothing_loaded(tmp_path: Path) -> None:
    assert read_serving(tmp_path) == read_serving(tmp_path / "none") == Serving.initial()
    assert (Serving.initial().attached, Serving.initial().models, Serving.initial().generation) == (True, {}, 0)
    assert os.listdir(tmp_path) == []


def test_the_next_generation_changes_only_what_is_named() -> None:
    first = Serving(attached=True, default_model="a", models={"a": MODEL}, generation=7, extra={"x": 1})

    assert first.next(attached=False) == Serving(False, "a", {"a": MODEL}, 8, extra={"x": 1})
    assert first.next(default_model=None, models={}) == Serving(True, None, {}, 8, extra={"x": 1})


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[]", "the top level is not an object"),
        ("{}", "attached is not true or false"),
        ('{"attached": 1}', "attached is not true or false"),
        ('{"attached": true, "default_model": 1}', "default_model is not a text or null"),
        ('{"attached": true, "generation": true}', "generation is not a whole number"),
        ('{"attached": true, "generation": -1}', "generation is not a whole number"),
        ('{"attached": true, "generation": 1, "models": []}', "models is not an object"),
        ('{"attached": true, "generation": 1, "models": {"a": 1}}', "models.a is not an object"),
        (
            '{"attached": true, "generation": 1, "models": {"a": {"sha256": "../x", "source": ""}}}',
            "models.a.sha256 is not a SHA-256 digest",
        ),
    ],
)
def test_a_corrupt_state_is_refused_with_file_and_place(tmp_path: Path, text: str, place: str) -> None:
    (tmp_path / "serving.json").write_text(text)

    with pytest.raises(FileFormatError, match=place) as caught:
        read_serving(tmp_path)
    with pytest.raises(FileFormatError):
        write_serving(tmp_path, Serving.initial().next(attached=False))

    assert caught.value.path == str(tmp_path / "serving.json")
    assert (tmp_path / "serving.json").read_text() == text


def test_a_state_is_written_into_a_folder_that_is_made(tmp_path: Path) -> None:
    serving = Serving.initial().next(attached=False)

    write_serving(tmp_path / "var" / "models", serving)
    write_serving(tmp_path / "var" / "models", serving)

    assert read_serving(tmp_path / "var" / "models") == serving


def test_a_generation_never_goes_back_or_stays_with_another_content(tmp_path: Path) -> None:
    first = Serving.initial().next(attached=False)
    write_serving(tmp_path, first.next())

    for stale in (first, first.next(default_model="a")):
        with pytest.raises(BotCoreError, match="does not follow"):
            write_serving(tmp_path, stale)

    assert read_serving(tmp_path) == first.next()


def test_changes_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from bot_core.ai.serving import *\n"
        "from bot_core.ai.serving import change_serving, ServedModel\n"
        "for i in range(20):\n"
        "    model = ServedModel(None, 'a' * 64, '')\n"
        "    change_serving(Path('.'), lambda s: s.next(models={**s.models, f'{sys.argv[1]}-{i}': model}))"
    )
    env = {"PYTHONPATH": os.getcwd()}

    writers = [subprocess.Popen([sys.executable, "-c", code, str(n)], cwd=tmp_path, env=env) for n in range(4)]

    assert [writer.wait() for writer in writers] == [0] * 4
    assert read_serving(tmp_path).generation == 80
    assert len(read_serving(tmp_path).models) == 80


def test_an_artifact_is_kept_under_its_digest_and_mended_where_it_was_damaged(tmp_path: Path) -> None:
    digest = store_artifact(tmp_path, b"bytes")
    (tmp_path / "artifacts" / f"{digest}.json").write_bytes(b"other")

    with pytest.raises(IntegrityError):
        load_stored(tmp_path, digest)
    again = store_artifact(tmp_path, b"bytes")

    assert again == digest == sha256_hex(b"bytes")
    assert load_stored(tmp_path, digest) == b"bytes"
    with pytest.raises(MissingFileError):
        load_stored(tmp_path, "b" * 64)


def test_an_artifact_behind_a_link_is_refused(tmp_path: Path) -> None:
    digest = store_artifact(tmp_path, b"bytes")
    os.rename(tmp_path / "artifacts" / f"{digest}.json", tmp_path / "elsewhere")
    (tmp_path / "artifacts" / f"{digest}.json").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(UnsafePathError):
        load_stored(tmp_path, digest)


def test_a_change_waits_for_a_score_that_is_being_made(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from bot_core.ai.serving import change_serving\n"
        "print('begun', flush=True); change_serving(Path('.'), lambda s: s.next(attached=False)); print('done')"
    )

    with serving_lock(tmp_path).hold(shared=True):
        child = subprocess.Popen(
            [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": os.getcwd()}, stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.3)
        during = read_serving(tmp_path)

    assert child.communicate()[0] == b"done\n"
    assert during.attached
    assert not read_serving(tmp_path).attached


def test_nothing_to_change_writes_nothing(tmp_path: Path) -> None:
    write_serving(tmp_path, Serving.initial().next())
    before = (tmp_path / "serving.json").stat()

    change_serving(tmp_path, lambda serving: serving)

    assert (tmp_path / "serving.json").stat() == before
