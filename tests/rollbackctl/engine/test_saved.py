"""Saved plans as files: what is refused says how to make the plan again."""

from pathlib import Path

import pytest

from rollbackctl.core.document import PlanDocument
from rollbackctl.core.errors import InvalidInputError
from rollbackctl.core.plan import Plan
from rollbackctl.engine.saved import is_saved_plan, load_document, save_document

AGAIN = "make it again from its YAML: rollbackctl plan YAML --out FILE"
DOCUMENT = PlanDocument(Plan("plan", None, {}, "none", {}, {}, {}, (), ()), "2025-11-18T08:00:00+00:00")


def test_a_plan_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    save_document(tmp_path / "plan.json", DOCUMENT)

    assert load_document(tmp_path / "plan.json", "plan.json") == DOCUMENT


def test_a_plan_that_is_gone_or_was_edited_is_refused_with_the_way_to_make_it_again(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    with pytest.raises(InvalidInputError, match=r"^plans/plan\.json cannot be read: No such file") as gone:
        load_document(path, "plans/plan.json")
    save_document(path, DOCUMENT)
    path.write_bytes(path.read_bytes().replace(b"PT24H", b"PT99H"))
    with pytest.raises(InvalidInputError, match=r"^plans/plan\.json: its content does not have the id") as edited:
        load_document(path, "plans/plan.json")

    assert (gone.value.hint, edited.value.hint) == (AGAIN, AGAIN)


def test_a_plan_is_not_saved_where_there_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="its folder does not exist") as refused:
        save_document(tmp_path / "nowhere" / "plan.json", DOCUMENT)

    assert refused.value.hint == "make the folder first"


@pytest.mark.parametrize(("data", "expected"), [(b"{}", True), (b"name: x", False), (b"", False), (None, False)])
def test_a_saved_plan_is_told_from_yaml_by_how_it_begins(data: bytes | None, expected: bool, tmp_path: Path) -> None:
    if data is not None:
        (tmp_path / "plan").write_bytes(data)

    assert is_saved_plan(tmp_path / "plan") is expected
