import json
from pathlib import Path

import pytest

from bot_core.ai.serving import load_stored, read_serving
from bot_core.foundation.errors import FileFormatError
from rollbackctl.core.state import State
from rollbackctl.kinds.serving import Served, ServingKind, ServingState
from tests.examples import RUN, aims, bind, make_facts, make_spec, pin

MODEL_DIR = "var/models"
V9 = Served(version="v9", sha256=pin("v9").sha256, source=pin("v9").source)
V10 = Served(version="v10", sha256=pin("v10").sha256, source=pin("v10").source)
HELD = f"held by rollbackctl run {RUN}"
OLD = ServingState(attached=True, default_model="decision-core", models={"decision-core": V10, "shadow": V10})


@pytest.fixture
def kind(workspace: Path) -> ServingKind:
    return ServingKind(bind(workspace))


def write(workspace: Path, value: object) -> None:
    (workspace / MODEL_DIR / "serving.json").write_text(json.dumps(value))


def copy_of(workspace: Path, served: Served) -> Path:
    return workspace / MODEL_DIR / "artifacts" / f"{served.sha256}.json"


def states(base: State | None) -> list[State | None]:
    """Held, loaded, released."""
    loading, releasing = ServingKind(bind(Path("/nonexistent"))).desire(make_spec(), make_facts())
    return [*aims(loading, base), aims(releasing, base)[1]]


def test_no_file_is_the_absent_state(kind: ServingKind) -> None:
    assert kind.observe(MODEL_DIR) is None


def test_a_file_that_says_attached_and_nothing_loaded_is_as_good_as_none(workspace: Path, kind: ServingKind) -> None:
    write(workspace, {"attached": True, "default_model": None, "models": {}, "generation": 7})

    assert kind.observe(MODEL_DIR) is None


def test_a_corrupt_file_is_not_taken_for_an_absent_one(workspace: Path, kind: ServingKind) -> None:
    write(workspace, {"attached": "yes"})

    with pytest.raises(FileFormatError, match="attached is not true or false"):
        kind.observe(MODEL_DIR)


def test_a_corrupt_file_is_named_among_the_files(workspace: Path, kind: ServingKind) -> None:
    write(workspace, {"attached": "yes"})

    assert kind.files(MODEL_DIR) == ("var/models/serving.json",)


def test_from_nothing_the_target_is_held_then_loaded_then_attached() -> None:
    target = {"decision-core": V9, "rollback": V9}

    assert states(None) == [
        ServingState(attached=False, held_by=HELD),
        ServingState(attached=False, held_by=HELD, models=target),
        ServingState(attached=True, default_model="rollback", models=target),
    ]


def test_a_hold_keeps_what_is_loaded_and_other_names_stay() -> None:
    loaded = {"decision-core": V9, "rollback": V9, "shadow": V10}

    assert states(OLD) == [
        OLD.model_copy(update={"attached": False, "held_by": HELD}),
        ServingState(attached=False, held_by=HELD, default_model="decision-core", models=loaded),
        ServingState(attached=True, default_model="rollback", models=loaded),
    ]


def test_where_the_target_is_not_served_as_rollback_the_last_name_is_the_default() -> None:
    wishes = ServingKind(bind(Path("/nonexistent"))).desire(make_spec(), make_facts(serve_as=("one", "two")))

    released = aims(list(wishes)[1], None)[1]

    assert isinstance(released, ServingState)
    assert released.default_model == "two"


def test_a_hold_needs_no_plan(workspace: Path, kind: ServingKind) -> None:
    (wish,) = kind.hold(make_spec())

    assert (wish.name, *aims(wish, OLD)) == (
        MODEL_DIR,
        OLD.model_copy(update={"attached": False, "held_by": HELD}),
        OLD,
    )


def test_the_generation_grows_by_one_with_each_move_and_not_with_a_repeated_one(
    workspace: Path, kind: ServingKind
) -> None:
    generations = []

    now = None
    for then in states(None):
        kind.move(MODEL_DIR, now, then)
        kind.move(MODEL_DIR, now, then)
        generations.append(read_serving(workspace / MODEL_DIR).generation)
        now = then

    assert generations == [1, 2, 3]


def test_the_way_back_ends_attached_with_nothing_loaded(workspace: Path, kind: ServingKind) -> None:
    kind.move(MODEL_DIR, None, OLD)

    kind.move(MODEL_DIR, OLD, None)

    assert kind.observe(MODEL_DIR) is None
    assert read_serving(workspace / MODEL_DIR).generation == 2


def test_loading_stores_the_very_bytes_under_their_digest(workspace: Path, kind: ServingKind) -> None:
    kind.move(MODEL_DIR, None, states(None)[1])

    assert load_stored(workspace / MODEL_DIR, V9.sha256) == (workspace / pin("v9").source).read_bytes()
    assert kind.files(MODEL_DIR) == ("var/models/serving.json", f"var/models/artifacts/{V9.sha256}.json")


def test_keys_of_a_later_engine_stay(workspace: Path, kind: ServingKind) -> None:
    write(workspace, {"attached": False, "default_model": None, "models": {}, "generation": 7, "warm": True})

    kind.move(MODEL_DIR, ServingState(attached=False), OLD)

    assert read_serving(workspace / MODEL_DIR).extra == {"warm": True}


@pytest.mark.parametrize("damage", ["other bytes", "gone"])
def test_a_damaged_copy_is_seen(workspace: Path, kind: ServingKind, damage: str) -> None:
    kind.move(MODEL_DIR, None, OLD)
    copy_of(workspace, V10).unlink()
    if damage == "other bytes":
        copy_of(workspace, V10).write_text("{}")

    assert kind.observe(MODEL_DIR) == OLD.model_copy(update={"damaged": (V10.sha256,)})


def test_a_damaged_copy_does_not_keep_anybody_from_detaching(workspace: Path, kind: ServingKind) -> None:
    kind.move(MODEL_DIR, None, OLD)
    copy_of(workspace, V10).write_text("{}")
    base = kind.observe(MODEL_DIR)
    # Nobody has the bytes any more: an artifact that was loaded from a path and is gone.
    kind = ServingKind(bind(workspace))
    object.__setattr__(kind._binding, "fetch", {}.__getitem__)
    (wish,) = kind.hold(make_spec())
    held, released = aims(wish, base)

    kind.move(MODEL_DIR, base, held)

    assert kind.observe(MODEL_DIR) == held
    kind.move(MODEL_DIR, held, released)
    assert kind.observe(MODEL_DIR) == base


def test_a_damaged_copy_of_the_target_is_stored_again(workspace: Path, kind: ServingKind) -> None:
    loaded = states(None)[1]
    kind.move(MODEL_DIR, None, loaded)
    copy_of(workspace, V9).write_text("{}")
    damaged = kind.observe(MODEL_DIR)

    wanted = states(damaged)[1]
    kind.move(MODEL_DIR, damaged, wanted)

    assert wanted == loaded
    assert kind.observe(MODEL_DIR) == loaded


def test_a_damaged_copy_under_another_name_is_not_asked_for_when_the_target_is_loaded(
    workspace: Path, kind: ServingKind
) -> None:
    lost = Served(version=None, sha256="0" * 64, source="/home/ds/try.json")
    other = {"version": None, "sha256": "0" * 64, "source": "/home/ds/try.json"}
    write(workspace, {"attached": True, "default_model": None, "models": {"try": other}, "generation": 1})
    base = kind.observe(MODEL_DIR)

    held, loaded, released = states(base)
    for before, after in ((base, held), (held, loaded), (loaded, released)):
        kind.move(MODEL_DIR, before, after)

    assert released == ServingState(
        attached=True,
        default_model="rollback",
        models={"decision-core": V9, "rollback": V9, "try": lost},
        damaged=("0" * 64,),
    )
    assert kind.observe(MODEL_DIR) == released
