from pathlib import Path

import pytest

from bot_core.ai.repository import ModelRepository
from bot_core.foundation.errors import FileFormatError, UnresolvedReferenceError, UnsafePathError
from rollbackctl.core.plan import Desired, Phase
from rollbackctl.kinds.artifact_quarantine import ArtifactQuarantine, QuarantineState
from tests.examples import REPOSITORY, aims, bind, make_facts, make_spec, pin

V10 = QuarantineState(
    version="v10", canonical=pin("v10").canonical, incident="INC-2025-1117", reason="data_drift_alert"
)
EARLIER = V10.model_copy(update={"incident": "INC-2025-0001", "reason": "wrong labels"})


@pytest.fixture
def kind(workspace: Path) -> ArtifactQuarantine:
    return ArtifactQuarantine(bind(workspace))


def wish() -> Desired:
    (found,) = ArtifactQuarantine(bind(Path("/nonexistent"))).desire(make_spec(), make_facts())
    return found


def test_the_withdrawn_version_is_quarantined_for_the_incident() -> None:
    assert (wish().name, wish().phase, *aims(wish(), None)) == ("v10", Phase.RESTORE, None, V10)


def test_an_earlier_quarantine_stays_as_it_is() -> None:
    assert aims(wish(), EARLIER) == (None, EARLIER)


def test_an_undo_does_not_lift_it() -> None:
    assert not wish().reversible


def test_a_plan_may_do_without() -> None:
    spec = make_spec(model={"quarantine": False})

    assert list(ArtifactQuarantine(bind(Path("/nonexistent"), spec)).desire(spec, make_facts())) == []


@pytest.mark.parametrize("reference", ["v10", "champion", None, "model-v10.json"])
def test_a_quarantined_version_answers_to_no_name(
    workspace: Path, kind: ArtifactQuarantine, reference: str | None
) -> None:
    kind.move("v10", None, V10)

    with pytest.raises(UnresolvedReferenceError, match="quarantined by incident INC-2025-1117: data_drift_alert"):
        ModelRepository(workspace / REPOSITORY).load_model(reference)


def test_lifted_it_answers_again(workspace: Path, kind: ArtifactQuarantine) -> None:
    kind.move("v10", None, V10)

    kind.move("v10", V10, None)

    assert kind.observe("v10") is None
    assert ModelRepository(workspace / REPOSITORY).resolve("v10").name == "model-v10.json"


def test_a_quarantine_that_cannot_be_read_is_not_taken_for_none(workspace: Path, kind: ArtifactQuarantine) -> None:
    kind.move("v10", None, V10)
    (path,) = kind.files("v10")
    (workspace / path).write_text('{"version": "v10"}')

    with pytest.raises(FileFormatError, match=r"quarantine/v10\.json: sha256 is missing"):
        kind.observe("v10")


def test_a_version_that_cannot_be_the_name_of_a_file_is_refused(kind: ArtifactQuarantine) -> None:
    with pytest.raises(UnsafePathError):
        kind.observe("../v10")
