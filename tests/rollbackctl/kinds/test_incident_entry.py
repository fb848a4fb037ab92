import re
from pathlib import Path

import pytest

from rollbackctl.core.state import resolve
from rollbackctl.kinds.incident_entry import EntryState, IncidentEntry
from tests.examples import RUN, VALUES, bind, make_facts, make_spec, pin
from tests.hostile import NAMES
from tests.rollbackctl.render.test_escape import hidden
from tests.rollbackctl.render.test_markdown import tokens

NAME = "audit/ai_decision/incident_journal.md"

PLAIN_LIST = {f"{part}_{end}" for part in ("bullet_list", "list_item", "paragraph") for end in ("open", "close")}


@pytest.fixture
def kind(workspace: Path) -> IncidentEntry:
    return IncidentEntry(bind(workspace))


def entry(**values: str) -> EntryState:
    (wish,) = IncidentEntry(bind(Path("/nonexistent"))).desire(make_spec(), make_facts())
    state = resolve(wish.after(None), VALUES | values)
    assert isinstance(state, EntryState)
    return state


def block(state: EntryState) -> bytes:
    return "\n".join((*state.lines, "")).encode()


def test_the_entry_names_reports_of_both_kinds_and_both_versions() -> None:
    root = "audit/ai_decision"
    drift, quality = "drift/20251117T224530Z_drift_alert.json", "data_quality/20251117T221000Z_completeness.json"

    assert entry().lines == (
        f"<!-- rollbackctl run {RUN} -->",
        "## 2025-11-18T08:00:00+00:00 - INC-2025-1117 (v10 -> v9)",
        "- reason: data_drift_alert",
        f"- triggered by: {root}/{drift}",
        f"- drift report: {root}/{drift}",
        f"- data-quality report: {root}/{quality}",
        f"- withdrawn: models/decision_engine/model-v10.json (canonical sha256 {pin('v10').canonical})",
        f"- restored: models/decision_engine/model-v9.json (sha256 {pin('v9').sha256})",
        "- signed by: risk: J. Kowal",
        f"- outcome: rollback executed and verified by ops@host-1, run {RUN}",
    )


@pytest.mark.parametrize("name", NAMES)
def test_who_signed_and_what_lies_where_means_nothing_to_a_reader_of_markdown(
    name: str, workspace: Path, kind: IncidentEntry
) -> None:
    state = entry(signers=NAMES[name])

    text = "\n".join(state.lines[1:])
    found = {token.type for token in tokens(text)}

    assert found <= {"heading_open", "heading_close", "inline", "text", "softbreak"} | PLAIN_LIST
    assert hidden(text.replace("\n", "")) == []
    assert re.search(r"(?<![A-Za-z0-9])@\w|://|www\.|mailto:", text) is None
    kind.move(NAME, None, state)
    assert kind.observe(NAME) == state


def test_the_entry_stands_after_a_blank_line_and_nothing_before_it_changes(
    workspace: Path, kind: IncidentEntry
) -> None:
    before = (workspace / NAME).read_bytes()

    kind.move(NAME, None, entry())

    assert (workspace / NAME).read_bytes() == before + b"\n" + block(entry())
    assert kind.observe(NAME) == entry()


def test_a_new_journal_gets_a_heading(workspace: Path, kind: IncidentEntry) -> None:
    (workspace / NAME).unlink()

    kind.move(NAME, None, entry())

    assert (workspace / NAME).read_bytes() == b"# AI incident journal\n\n" + block(entry())


def test_outside_its_run_nothing_of_it_exists(workspace: Path, kind: IncidentEntry) -> None:
    kind.move(NAME, None, entry())

    assert IncidentEntry(bind(workspace, run=None)).observe(NAME) is None
    assert IncidentEntry(bind(workspace, run="another")).observe(NAME) is None


def test_it_is_appended_once_and_never_taken_back(workspace: Path, kind: IncidentEntry) -> None:
    kind.move(NAME, None, entry())
    once = (workspace / NAME).read_bytes()

    kind.move(NAME, None, entry())
    kind.move(NAME, entry(), None)

    assert (workspace / NAME).read_bytes() == once


@pytest.mark.parametrize("before", [b"# Journal\n\n## earlier\n- done\n", b"- no newline at the end", b""])
def test_every_part_of_it_that_a_killed_run_left_is_completed(
    workspace: Path, kind: IncidentEntry, before: bytes
) -> None:
    (workspace / NAME).write_bytes(before)
    kind.move(NAME, None, entry())
    whole = (workspace / NAME).read_bytes()

    for length in range(len(before), len(whole)):
        (workspace / NAME).write_bytes(whole[:length])
        assert kind.observe(NAME) is None, whole[:length]
        kind.move(NAME, None, entry())
        assert (workspace / NAME).read_bytes() == whole, whole[:length]


@pytest.mark.parametrize(
    "between", [b"\n## 2025-11-18 - another one\n- outcome: none\n", b" and more\n", b"- a note\n"]
)
def test_where_others_wrote_after_a_part_of_it_the_whole_entry_follows(
    workspace: Path, kind: IncidentEntry, between: bytes
) -> None:
    whole = block(entry())

    for length in (len(whole) // 2, whole.index(b"\n- reason") + 1, whole.index(b"\n- outcome") + 12, len(whole) - 2):
        torn = b"# Journal\n\n" + whole[:length] + between
        (workspace / NAME).write_bytes(torn)
        assert kind.observe(NAME) is None, torn
        kind.move(NAME, None, entry())
        assert (workspace / NAME).read_bytes() == torn + b"\n" + whole, torn
        assert kind.observe(NAME) == entry()


@pytest.mark.parametrize("after", [b"- root cause: a feed\n", b"\n## 2025-11-19 - the next one\n", b"\ntorn"])
def test_what_people_write_after_it_does_not_hide_it(workspace: Path, kind: IncidentEntry, after: bytes) -> None:
    kind.move(NAME, None, entry())
    with (workspace / NAME).open("ab") as file:
        file.write(after)
    before = (workspace / NAME).read_bytes()

    seen = kind.observe(NAME)
    kind.move(NAME, None, entry())

    assert seen == entry()
    assert (workspace / NAME).read_bytes() == before


def test_a_line_of_it_that_somebody_changed_is_another_state(workspace: Path, kind: IncidentEntry) -> None:
    kind.move(NAME, None, entry())
    text = (workspace / NAME).read_text()

    (workspace / NAME).write_text(text.replace("- signed by: risk: J. Kowal", "- signed by: nobody"))

    assert kind.observe(NAME) not in (None, entry())


@pytest.mark.parametrize("name", ["J. Kowal\n## forged", "J. Kowal\r\n\r\n- x", "J.\u2028Kowal", "J.\x0b\x85Kowal"])
def test_a_value_of_several_lines_becomes_one(workspace: Path, kind: IncidentEntry, name: str) -> None:
    state = entry(signers=f"risk: {name}")

    kind.move(NAME, None, state)

    assert len(state.lines) == len(entry().lines)
    assert kind.observe(NAME) == state
    assert EntryState.model_validate_json(state.model_dump_json()) == state


def test_a_journal_that_is_not_utf_8_is_appended_to_all_the_same(workspace: Path, kind: IncidentEntry) -> None:
    (workspace / NAME).write_bytes(b"# Dziennik \xb3\n")

    kind.move(NAME, None, entry())

    assert (workspace / NAME).read_bytes() == b"# Dziennik \xb3\n\n" + block(entry())
    assert kind.observe(NAME) == entry()
