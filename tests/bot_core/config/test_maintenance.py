import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bot_core.config.auto_trader import read_maintenance
from bot_core.config.maintenance import InMaintenanceError, MaintenanceWatch, change_maintenance
from bot_core.foundation.errors import FileFormatError, LockTimeoutError, MissingFileError

FIXTURE = Path(__file__).parents[2] / "fixtures" / "ws_public" / "config" / "auto_trader.yaml"
NAME = "config/auto_trader.yaml"

# Decides without pause, and says whether it ever did while the flag was set.
DECIDER = """
from pathlib import Path
from bot_core.config.maintenance import InMaintenanceError, MaintenanceWatch
config = Path("config/auto_trader.yaml")
watch = MaintenanceWatch(config)
wrong = turn = 0
while not Path("done").exists():
    try:
        with watch.off():
            wrong += b"maintenance: true " in config.read_bytes()
            turn += 1
    except InMaintenanceError:
        pass
    if turn == 1:
        print("deciding", flush=True)
print(wrong)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    shutil.copy(FIXTURE, tmp_path / NAME)
    return tmp_path


def is_off(watch: MaintenanceWatch) -> bool:
    try:
        with watch.off():
            return True
    except InMaintenanceError:
        return False


def test_a_change_is_obeyed_before_the_very_next_decision(root: Path) -> None:
    watch = MaintenanceWatch(root / NAME)
    seen = [is_off(watch)]

    for token in ("true", "false", "yes", "no"):
        change_maintenance(root, NAME, token)
        seen.append(is_off(watch))

    assert seen == [True, False, True, False, True]


def test_a_change_and_its_return_leave_every_byte_as_it_was(root: Path) -> None:
    before = (root / NAME).read_bytes()

    change_maintenance(root, NAME, "true")
    assert read_maintenance((root / NAME).read_bytes(), NAME).value
    change_maintenance(root, NAME, "false")

    assert (root / NAME).read_bytes() == before


def test_a_change_waits_for_a_decision_that_is_being_made(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot_core.config.maintenance._WAIT_S", 0.01)
    before = (root / NAME).read_bytes()

    with (
        MaintenanceWatch(root / NAME).off(),
        pytest.raises(LockTimeoutError, match=f"process {os.getpid()}"),
    ):
        change_maintenance(root, NAME, "true")

    assert (root / NAME).read_bytes() == before


def test_a_change_has_its_turn_among_those_who_decide_without_pause(root: Path) -> None:
    deciders = [
        subprocess.Popen(
            [sys.executable, "-c", DECIDER],
            cwd=root,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": os.getcwd()},
        )
        for _ in range(2)
    ]
    for process in deciders:
        assert process.stdout is not None
        assert process.stdout.readline() == "deciding\n"

    for token in ("true", "false") * 10:
        change_maintenance(root, NAME, token)
    (root / "done").touch()

    assert [process.communicate()[0].split()[-1] for process in deciders] == ["0", "0"]


def test_where_there_is_no_file_there_is_no_trader_to_stop(tmp_path: Path) -> None:
    watch = MaintenanceWatch(tmp_path / NAME)
    seen = [is_off(watch)]

    (tmp_path / "config").mkdir()
    seen.append(is_off(watch))
    (tmp_path / NAME).write_text("auto_trader:\n  maintenance: on\n")
    seen.append(is_off(watch))

    assert seen == [True, True, False]
    with pytest.raises(MissingFileError):
        change_maintenance(tmp_path, "config/other.yaml", "true")


def test_a_file_that_cannot_be_read_lets_nobody_decide(root: Path) -> None:
    watch = MaintenanceWatch(root / NAME)
    assert is_off(watch)
    (root / NAME).write_text("auto_trader:\n  maintenance: perhaps\n")

    for _ in range(2):
        with pytest.raises(FileFormatError, match="perhaps"), watch.off():
            pass
