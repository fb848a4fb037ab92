import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot_core.ai.acknowledgement import (
    EngineAck,
    forget_dead,
    is_alive,
    read_acks,
    this_engine,
    this_host,
    write_ack,
)

NOW = datetime(2025, 11, 18, 8, 0, tzinfo=UTC)


@pytest.fixture
def ended() -> int:
    """The number of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_an_acknowledgement_names_host_process_generation_and_time(tmp_path: Path) -> None:
    write_ack(tmp_path, 3, NOW)
    write_ack(tmp_path, 4, NOW)

    (ack,) = read_acks(tmp_path)

    assert (ack.host, ack.pid, ack.generation, ack.time, ack.error) == (this_host(), os.getpid(), 4, NOW, "")
    assert ack.engine == this_engine()
    assert os.listdir(tmp_path / "engines") == [f"{this_engine()}.json"]


def test_an_unreadable_acknowledgement_is_named_and_not_skipped(tmp_path: Path) -> None:
    (tmp_path / "engines").mkdir()
    (tmp_path / "engines" / "host-a-12.json").write_text("{")
    (tmp_path / "engines" / "other.json").write_text('{"host": 1}')

    first, second = read_acks(tmp_path)

    assert (first.host, first.pid, first.generation, first.time) == ("host-a", 12, -1, None)
    assert "host-a-12.json" in first.error
    assert (second.pid, second.generation) == (0, -1)
    assert "other.json" in second.error


def test_an_engine_is_known_to_live_only_on_this_host(ended: int) -> None:
    assert is_alive(EngineAck("h", os.getpid(), 1, NOW), "h") is True
    assert is_alive(EngineAck("h", ended, 1, NOW), "h") is False
    assert is_alive(EngineAck("h", os.getpid(), 1, NOW), "other") is None
    assert is_alive(EngineAck("h", 0, -1, None, error="torn"), "h") is None


def test_another_process_with_the_number_of_a_dead_engine_is_not_that_engine(tmp_path: Path) -> None:
    write_ack(tmp_path, 1, NOW)
    (ack,) = read_acks(tmp_path)
    assert is_alive(ack, this_host()) is True

    path = tmp_path / "engines" / f"{this_engine()}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "started": 1}))

    assert is_alive(read_acks(tmp_path)[0], this_host()) is False


def test_an_engine_that_has_ended_but_was_not_waited_for_is_dead(tmp_path: Path) -> None:
    code = "from datetime import datetime, UTC; from pathlib import Path; from bot_core.ai.acknowledgement import *\n"
    child = subprocess.Popen(
        [sys.executable, "-c", f"{code}write_ack(Path('.'), 1, datetime.now(UTC))"],
        cwd=tmp_path,
        env={"PYTHONPATH": os.getcwd()},
    )
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    (ack,) = read_acks(tmp_path)

    assert (ack.pid, is_alive(ack, this_host())) == (child.pid, False)
    child.wait()


def test_only_the_dead_of_this_host_are_forgotten(tmp_path: Path, ended: int) -> None:
    write_ack(tmp_path, 1, NOW)
    fields = {"host": this_host(), "pid": ended, "generation": 1, "time": NOW.isoformat()}
    for name, text in (
        (f"{this_host()}-{ended}", json.dumps(fields)),
        (f"elsewhere-{ended}", json.dumps({**fields, "host": "elsewhere"})),
        (f"torn-{ended}", "{"),
    ):
        (tmp_path / "engines" / f"{name}.json").write_text(text)

    forget_dead(tmp_path)

    left = sorted(ack.engine for ack in read_acks(tmp_path))
    assert left == sorted([this_engine(), f"elsewhere-{ended}", f"torn-{ended}"])
