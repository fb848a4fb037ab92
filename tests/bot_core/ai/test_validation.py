"""The fast answer and JSON Schema's are the same, and faults are named by place."""

import copy
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bot_core.ai.artifact import ModelArtifact
from bot_core.ai.validation import (
    ModelArtifactValidationError,
    artifact_schema_errors,
    is_artifact,
    plain_json,
    schema_text,
    validate_model_artifact_schema,
)
from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.strict_json import parse_object

REPOSITORY = Path(__file__).parents[3]
MODELS = REPOSITORY / "tests" / "fixtures" / "ws_public" / "models" / "decision_engine"
EXPECTED = json.loads((REPOSITORY / "tests" / "fixtures" / "expected_public.json").read_text())
VALID = ("v5", "v6", "v7", "v9", "v10")


def raw_artifact(version):
    return parse_object((MODELS / f"model-{version}.json").read_bytes(), version)


def validator():
    return Draft202012Validator(json.loads(schema_text(None)), format_checker=Draft202012Validator.FORMAT_CHECKER)


JSON_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([98.0, 98.5, -1.0, -0.0, 1e300]),
    st.text(max_size=3),
    st.sampled_from(
        [
            "2025-10-29T04:10:45Z",
            "2025-10-29t04:10:45.123456789z",
            "2025-02-29T00:00:00+00:00",
            "0000-01-01T00:00:00Z",
            "2025-10-29T04:10:45",
            "2025-10-29T24:00:00Z",
            "2025-10-29T04:10:45Z\n",
        ]
    ),
)
JSON_VALUES = st.recursive(
    JSON_SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcxyz"), inner, max_size=3),
    max_leaves=6,
)


def places(value, place=()):
    """Every place in a JSON value down to four levels, outer ones first."""
    yield place
    if len(place) < 4 and isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*place, key))


def changed(raw, place, change, value):
    """`raw` with one change at one place: another value, without it, or with one key more beside it."""
    if not place:
        return value if change == "replace" else raw
    *way, last = place
    holder = raw
    for key in way:
        holder = holder[key]
    if change == "remove":
        del holder[last]
    elif change == "add" and isinstance(holder, dict):
        holder[f"{last}_more"] = value
    else:
        holder[last] = value
    return raw


@st.composite
def mutated_artifacts(draw):
    raw = copy.deepcopy(raw_artifact(draw(st.sampled_from((*VALID, "v8")))))
    # Half of the changes fall on the top levels, where the schema says most.
    for _ in range(draw(st.integers(0, 2))):
        depth = draw(st.sampled_from([1, 1, 2, 3, 4]))
        candidates = [place for place in places(raw) if len(place) <= depth and place]
        if not candidates or not isinstance(raw, dict):
            break
        change = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        raw = changed(raw, draw(st.sampled_from(candidates)), change, draw(JSON_VALUES))
    return raw


def test_the_fast_answer_is_the_answer_of_json_schema():
    answers = Counter()
    schema = validator()

    @settings(max_examples=500, deadline=None)
    @given(mutated_artifacts())
    def holds(raw):
        is_valid = schema.is_valid(raw)
        answers[is_valid] += 1
        assert is_artifact(raw) == is_valid
        assert (artifact_schema_errors(raw) == ()) == is_valid

    holds()

    # A property that only ever sees one answer says nothing.
    assert min(answers[True], answers[False]) >= 50


@given(JSON_VALUES)
def test_any_other_json_value_is_no_artifact_and_the_faults_are_told(raw):
    assert artifact_schema_errors(raw) != ()
    assert artifact_schema_errors(raw) == artifact_schema_errors(copy.deepcopy(raw))


@pytest.mark.parametrize("version", VALID)
def test_the_good_models_of_the_workspace_are_valid(version):
    assert artifact_schema_errors(raw_artifact(version)) == ()


def test_model_v8_breaks_the_schema_in_exactly_four_places():
    assert artifact_schema_errors(raw_artifact("v8")) == (
        "feature_scalers.momentum.stdev is missing",
        "metrics.test is missing",
        "notes is not allowed",
        "training_rows is 98.5, not an integer",
    )
    assert len(EXPECTED["versions"]["v8"]["raw_schema_errors"]) == 4


def test_a_settings_file_has_as_many_schema_errors_as_the_engine_counted():
    raw = parse_object((MODELS / "feature_config.json").read_bytes(), "feature_config.json")

    assert (
        len(list(validator().iter_errors(raw)))
        == EXPECTED["files_not_in_manifest"]["feature_config.json"]["schema_errors"]
    )
    # In words each of the five keys too many is a fault of its own: 10 missing + 5 not allowed.
    words = artifact_schema_errors(raw)
    assert sum(word.endswith("is missing") for word in words) == 10
    assert sum(word.endswith("is not allowed") for word in words) == 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"feature_names": []}, ("feature_names has 0 items, fewer than 1",)),
        ({"feature_names": ["a", 2]}, ("feature_names[1] is 2, not a string",)),
        ({"trained_at": "yesterday"}, ('trained_at is "yesterday", not a date-time',)),
        ({"test_rows": -1}, ("test_rows is -1, less than 0",)),
        ({"test_rows": True}, ("test_rows is true, not an integer",)),
        ({"metadata": []}, ("metadata is an array, not an object",)),
        ({"decision_journal_entry_id": 7}, ("decision_journal_entry_id is 7, not a string or null",)),
    ],
)
def test_a_fault_is_worded_with_its_place_and_the_value_seen(change, words):
    assert artifact_schema_errors(raw_artifact("v9") | change) == words


def test_a_value_that_is_no_object_is_worded_too():
    assert artifact_schema_errors([]) == ("the artifact is an array, not an object",)


def test_a_valid_artifact_passes_as_mapping_and_as_value():
    validate_model_artifact_schema(raw_artifact("v9"))
    validate_model_artifact_schema(ModelArtifact.from_mapping(raw_artifact("v9"), "v9"))


def test_a_broken_artifact_raises_with_every_error():
    with pytest.raises(ModelArtifactValidationError, match="notes is not allowed") as caught:
        validate_model_artifact_schema(raw_artifact("v8"))

    assert len(caught.value.errors) == 4
    assert ModelArtifactValidationError("broken").errors == ()


def test_another_schema_can_be_given(tmp_path):
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object", "properties": {"backend": {"const": "linear"}}}')

    validate_model_artifact_schema(raw_artifact("v6"), schema_path=schema)
    with pytest.raises(ModelArtifactValidationError, match="backend: 'linear' was expected"):
        validate_model_artifact_schema(raw_artifact("v9"), schema_path=schema)


def test_the_schema_is_itself_valid_and_is_the_file_of_the_repository():
    Draft202012Validator.check_schema(json.loads(schema_text(None)))

    assert schema_text(None) == (REPOSITORY / "schemas" / "model_artifact.schema.json").read_bytes()


def test_what_json_has_no_form_for_is_refused():
    assert plain_json({"a": (1, 2)}) == {"a": [1, 2]}
    for value in (float("nan"), b"bytes", {1, 2}):
        with pytest.raises(BotCoreError, match="is not a JSON"):
            plain_json({"a": value})
