from pathlib import Path

import pytest

from bot_core.foundation.errors import FileFormatError
from rollbackctl.core.errors import InvalidInputError
from rollbackctl.core.plan import Desired, Phase
from rollbackctl.kinds.maintenance import Maintenance, MaintenanceState
from tests.examples import aims, bind, make_facts, make_spec

NAME = "config/auto_trader.yaml"


@pytest.fixture
def kind(workspace: Path) -> Maintenance:
    return Maintenance(bind(workspace))


def hold() -> Desired:
    (wish,) = Maintenance(bind(Path("/nonexistent"))).hold(make_spec())
    return wish


def lines(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True)


def test_maintenance_is_on_until_release_and_then_as_before(kind: Maintenance) -> None:
    base = kind.observe(NAME)
    (wish,) = kind.desire(make_spec(), make_facts())

    held, released = aims(wish, base)

    assert isinstance(base, MaintenanceState)
    assert (wish.name, wish.phase) == (NAME, Phase.RELEASE)
    assert held == MaintenanceState(maintenance=True, token="true", rest=base.rest)
    assert released == base


@pytest.mark.parametrize(
    "section",
    [
        "auto_trader:\n  enabled: true\n  maintenance: no   # a comment\n",
        'auto_trader:\n  maintenance: "off"\n  enabled: true\n',
        "auto_trader:\n  maintenance:   False\n  enabled: true\n",
        "auto_trader:\n  maintenance:\n  enabled: true\n",
        "auto_trader:\r\n  enabled: true\r\n",
        "defaults: &defaults\n  maintenance: no\nauto_trader:\n  <<: *defaults\n  enabled: true\n",
        "auto_trader: {enabled: true, maintenance: no}\n",
        "auto_trader: {enabled: true}\n",
    ],
)
def test_the_token_is_put_back_byte_for_byte(workspace: Path, kind: Maintenance, section: str) -> None:
    before = b"# kept\n" + section.encode()
    (workspace / NAME).write_bytes(before)
    base = kind.observe(NAME)
    held = aims(hold(), base)[0]

    kind.move(NAME, base, held)
    during = (workspace / NAME).read_bytes()
    seen = kind.observe(NAME)
    kind.move(NAME, held, base)

    assert seen == held
    assert len({*lines(during)} - {*lines(before)}) == 1
    assert (workspace / NAME).read_bytes() == before


def test_maintenance_that_is_on_already_stays_as_it_is_written(workspace: Path, kind: Maintenance) -> None:
    (workspace / NAME).write_text("auto_trader:\n  maintenance: yes\n")
    base = kind.observe(NAME)

    assert aims(hold(), base) == (base, base)


def test_a_strangers_edit_of_another_line_is_another_state(workspace: Path, kind: Maintenance) -> None:
    base = kind.observe(NAME)
    text = (workspace / NAME).read_text()

    (workspace / NAME).write_text(text.replace("enabled: true", "enabled: false"))

    assert kind.observe(NAME) != base


def test_a_workspace_without_the_file_has_no_trader_to_stop(workspace: Path, kind: Maintenance) -> None:
    (workspace / NAME).unlink()

    assert kind.observe(NAME) is None
    assert aims(hold(), None) == (None, None)


def test_a_file_that_went_away_cannot_be_moved(workspace: Path, kind: Maintenance) -> None:
    base = kind.observe(NAME)
    held = aims(hold(), base)[0]
    (workspace / NAME).unlink()

    with pytest.raises(InvalidInputError) as refused:
        kind.move(NAME, base, held)

    assert refused.value.problem == f"{NAME} is gone"
    assert not (workspace / NAME).exists()


def test_a_flag_that_is_neither_true_nor_false_is_refused(workspace: Path, kind: Maintenance) -> None:
    (workspace / NAME).write_text("auto_trader:\n  maintenance: perhaps\n")

    with pytest.raises(FileFormatError, match="'perhaps', neither true nor false"):
        kind.observe(NAME)


def test_a_plan_may_leave_the_trader_alone() -> None:
    spec = make_spec(autotrader={"maintenance": False})

    assert list(Maintenance(bind(Path("/nonexistent"), spec)).desire(spec, make_facts())) == []
