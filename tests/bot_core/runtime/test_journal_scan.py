import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot_core.foundation.errors import UnsafePathError
from bot_core.runtime.journal_scan import JournalScan, journal_records, scan_journal

WORKSPACE = Path(__file__).parents[2] / "fixtures" / "ws_public"
REPORTS = [b'"ai_drift_report"', b'"ai_data_quality_report"']


def test_the_report_events_of_the_real_journal_are_found() -> None:
    scan = scan_journal(WORKSPACE, "logs/decision_journal", needles=REPORTS)

    assert scan.lines == 475
    assert scan.malformed == (("logs/decision_journal/decisions-20251118.jsonl", 59),)
    assert [record["timestamp"] for _, _, record in scan.records] == [
        "2025-11-05T06:00:00+00:00",
        "2025-11-16T20:30:01+00:00",
        "2025-11-16T21:00:01+00:00",
        "2025-11-17T22:10:02+00:00",
        "2025-11-17T22:15:00+00:00",
        "2025-11-17T22:30:01+00:00",
        "2025-11-17T22:45:31+00:00",
        "2025-11-18T01:00:00+00:00",
    ]
    assert scan.files["logs/decision_journal/decisions-20251105.jsonl"] == 435


def test_one_file_is_scanned_by_its_own_name() -> None:
    scan = scan_journal(WORKSPACE, "logs/decision_journal/decisions-20251105.jsonl", needles=REPORTS)

    assert [(name, number) for name, number, _ in scan.records] == [
        ("logs/decision_journal/decisions-20251105.jsonl", 1)
    ]


def test_a_folder_is_its_jsonl_and_log_files_in_order(tmp_path: Path) -> None:
    for name in ("b.log", "a.jsonl", "c.txt", "a.jsonl.bak"):
        (tmp_path / name).write_bytes(b'{"event":"x"}\n')

    scan = scan_journal(tmp_path, ".", needles=[b"x"])

    assert [name for name, _, _ in scan.records] == ["a.jsonl", "b.log"]


def test_a_missing_journal_is_empty(tmp_path: Path) -> None:
    assert scan_journal(tmp_path, "logs/none.log", needles=[b"x"]) == JournalScan(0, (), (), {})


def test_a_last_line_without_its_newline_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b'{"event":"x"}\n{"event":"x"}')
    (tmp_path / "b.log").write_bytes(b'{"event":"x"}\n')
    (tmp_path / "c.log").write_bytes(b"")

    scan = scan_journal(tmp_path, ".", needles=[b'"x"'])

    assert [(name, number) for name, number, _ in scan.records] == [("a.log", 1), ("a.log", 2), ("b.log", 1)]
    assert scan.unended == {"a.log": 2}


def test_a_linked_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real.jsonl").write_bytes(b"")
    os.symlink("real.jsonl", tmp_path / "linked.jsonl")

    with pytest.raises(UnsafePathError):
        scan_journal(tmp_path, "linked.jsonl", needles=[])


def test_a_folder_that_is_named_like_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "j/a.jsonl").mkdir(parents=True)

    with pytest.raises(UnsafePathError, match=r"j/a\.jsonl is not a regular file"):
        scan_journal(tmp_path, "j", needles=[])


@pytest.mark.parametrize("spare", [-1, 0, 1, 2, 1 << 20, 5 << 20])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_is_too_long_where_reading_every_line_says_so(tmp_path: Path, spare: int, end: bytes) -> None:
    long = b'{"event":"b","x":"' + b"x" * ((1 << 20) - 20 + spare) + b'"}'
    lines = [b'{"event":"a"}', long, b'{"event":"a"}', long, b'{"event":"c"}', long + end]
    (tmp_path / "a.log").write_bytes(b"\n".join(lines))
    read = list(journal_records(tmp_path, "a.log"))

    scan = scan_journal(tmp_path, "a.log", needles=[b'"a"', b'"b"'])

    assert scan.malformed == tuple(("a.log", number) for number, record in read if record is None)
    assert scan.lines == 6 - len(scan.malformed)
    assert [number for _, number, _ in scan.records] == [
        number for number, record in read if record is not None and record["event"] != "c"
    ]
    assert scan.files == {"a.log": (tmp_path / "a.log").stat().st_size}
    assert scan.unended == ({} if end else {"a.log": 6})


WHOLE = [
    b'{"event":"a","x":"1"}',
    b'{"event":"b","x":"{\\"event\\":\\"a\\"}"}',
    b'{"event":"b","x":"\\u017c"}',
    b'{"x":"1","event":"a"}',
    b'{"event":"a","n":1}',
    b'{"event":"a"}\r',
    b"",
    b"  ",
]
BROKEN = [
    b'{"event":"a","x":"1',
    b'{"event":"a","x":"{\\"a\\":\\"b\\"}',
    b'{"event":"a","x":"1{"event":"b"}',
    b'{"event":"a","x":"\xff"}',
    b'["event"]',
    b"x",
]


@settings(deadline=None)
@given(
    lines=st.lists(st.sampled_from(WHOLE + BROKEN) | st.sampled_from(WHOLE), max_size=8),
    end=st.sampled_from([b"", b"\n"]),
    needles=st.lists(st.sampled_from([b"event", b"b", b'"x":"1"', b"zzz"]), max_size=2),
)
def test_a_scan_says_what_reading_every_line_says(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], end: bytes, needles: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    (folder / "a.log").write_bytes(b"\n".join(lines) + end)
    read = list(journal_records(folder, "a.log"))

    scan = scan_journal(folder, "a.log", needles=needles)

    assert scan.malformed == tuple(("a.log", number) for number, record in read if record is None)
    assert scan.lines == sum(record is not None for _, record in read)
    assert scan.records == tuple(
        ("a.log", number, record)
        for number, record in read
        if record is not None and any(needle in lines[number - 1] for needle in needles)
    )
