from pathlib import Path

import pytest

from rollbackctl.core.errors import InvalidInputError
from rollbackctl.kinds.signoff_checklist import ChecklistState, SignoffChecklist
from tests.examples import RUN, aims, bind, make_facts, make_spec

PATH = "docs/compliance/ai_pipeline_signoff.md"
NAME = f"{PATH}#INC-2025-1117"
OPEN = ChecklistState(entry_added=False, reports_signed=False, executed=False)
DONE = ChecklistState(entry_added=True, reports_signed=True, executed=True)
NOTE = f" - rollbackctl run {RUN}"


@pytest.fixture
def kind(workspace: Path) -> SignoffChecklist:
    return SignoffChecklist(bind(workspace))


def write(workspace: Path, text: str) -> None:
    (workspace / PATH).write_bytes(text.encode())


def changed_lines(before: str, after: str) -> list[tuple[str, str]]:
    return [(a, b) for a, b in zip(before.splitlines(), after.splitlines(), strict=True) if a != b]


def test_every_box_of_the_runs_own_is_ticked_at_the_end() -> None:
    (wish,) = SignoffChecklist(bind(Path("/nonexistent"))).desire(make_spec(), make_facts())

    assert (wish.name, *aims(wish, OPEN)) == (NAME, None, DONE)


def test_a_box_that_the_section_does_not_have_stays_away() -> None:
    (wish,) = SignoffChecklist(bind(Path("/nonexistent"))).desire(make_spec(), make_facts())

    assert aims(wish, ChecklistState(executed=False))[1] == ChecklistState(executed=True)
    assert aims(wish, None)[1] is None


def test_only_the_runs_own_boxes_are_ticked_and_never_a_persons(workspace: Path, kind: SignoffChecklist) -> None:
    before = (workspace / PATH).read_text()

    kind.move(NAME, OPEN, DONE)

    texts = [
        "Incident entry added to `audit/ai_decision/incident_journal.md`",
        "Drift and data-quality reports signed by Risk and Compliance",
        "Rollback executed and verified",
    ]
    assert kind.observe(NAME) == DONE
    assert changed_lines(before, (workspace / PATH).read_text()) == [
        (f"- [ ] {text}", f"- [x] {text}{NOTE}") for text in texts
    ]


def test_cleared_again_every_byte_is_as_before(workspace: Path, kind: SignoffChecklist) -> None:
    text = (workspace / PATH).read_text().replace("\n", "\r\n").rstrip()
    write(workspace, text)
    kind.move(NAME, OPEN, DONE)

    kind.move(NAME, DONE, OPEN)

    assert (workspace / PATH).read_bytes() == text.encode()


def test_a_box_that_a_person_ticked_keeps_that_persons_note(workspace: Path, kind: SignoffChecklist) -> None:
    text = (workspace / PATH).read_text()
    ticked = "- [x] Rollback executed and verified - M. Zielinska"
    write(workspace, text.replace("- [ ] Rollback executed and verified", ticked))

    kind.move(NAME, kind.observe(NAME), DONE)

    assert f"{ticked}\n" in (workspace / PATH).read_text()


def test_the_last_section_that_names_the_incident_counts(workspace: Path, kind: SignoffChecklist) -> None:
    review = "## Post-incident review\nIncident: {}\n- [ ] Rollback executed and verified\n"
    text = review.format("INC-2025-1117") + review.format("INC-2025-1117, again") + review.format("INC-2025-9")
    write(workspace, text)

    kind.move(NAME, ChecklistState(executed=False), ChecklistState(executed=True))

    ticked = [number for number, line in enumerate((workspace / PATH).read_text().splitlines(), 1) if "[x]" in line]
    assert ticked == [6]


@pytest.mark.parametrize(
    ("heading", "text", "is_named"),
    [
        ("## Post-incident review - INC-2025-1117", "", True),
        ("### Post-Incident Review", "about inc-2025-1117.", True),
        ("## Post-incident review", "INC-2025-11170", False),
        ("## Post-incident review", "XINC-2025-1117", False),
        ("## Post-incident review", "INC-2025-1117-2", False),
        ("## Pre-deployment", "INC-2025-1117", False),
    ],
)
def test_a_section_names_the_incident_as_a_whole_word(
    workspace: Path, kind: SignoffChecklist, heading: str, text: str, is_named: bool
) -> None:
    write(workspace, f"{heading}\n{text}\n- [ ] Rollback executed and verified\n")

    assert kind.observe(NAME) == (ChecklistState(executed=False) if is_named else None)


def test_without_a_file_or_a_section_there_is_nothing_to_tick(workspace: Path, kind: SignoffChecklist) -> None:
    write(workspace, "# Sign-off\n")
    without_section = kind.observe(NAME)
    (workspace / PATH).unlink()

    assert (without_section, kind.observe(NAME)) == (None, None)


def test_a_section_that_went_away_cannot_be_ticked(workspace: Path, kind: SignoffChecklist) -> None:
    write(workspace, "# Sign-off\n")

    with pytest.raises(InvalidInputError) as refused:
        kind.move(NAME, OPEN, DONE)

    assert refused.value.problem == f"{NAME}: the section is gone"
    assert (workspace / PATH).read_text() == "# Sign-off\n"


def test_a_checklist_that_is_not_utf_8_is_refused(workspace: Path, kind: SignoffChecklist) -> None:
    (workspace / PATH).write_bytes(b"## Post-incident review\nINC-2025-1117 \xff\n")

    with pytest.raises(InvalidInputError) as refused:
        kind.observe(NAME)

    assert refused.value.problem == f"{PATH} is not UTF-8"
