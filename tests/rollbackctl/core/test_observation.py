import pytest
from pydantic import TypeAdapter, ValidationError

from rollbackctl.core.observation import Holder, HoldFact, Instant


def holder(run: str) -> Holder:
    return Holder(run=run, incident=f"INC of {run}", since="08:00", by="anna")


HOLD = HoldFact(
    **holder("r1").model_dump(),
    address="serving/a",
    base=1,
    held=2,
    operation="rollback",
    others=(holder("h2"), holder("h3")),
)


def test_an_instant_has_an_offset() -> None:
    instants = TypeAdapter(Instant)

    assert instants.validate_python("2025-11-18T08:00:00+01:00") == "2025-11-18T08:00:00+01:00"
    with pytest.raises(ValidationError, match="Value error, an instant needs an offset "):
        instants.validate_python("2025-11-18T08:00:00")
    with pytest.raises(ValidationError, match="Invalid isoformat string"):
        instants.validate_python("soon")


def test_when_the_first_holder_lets_go_the_next_one_holds_and_the_rest_stay() -> None:
    left = HOLD.without("r1")

    assert left is not None
    assert [item.run for item in left.holders] == ["h2", "h3"]
    assert (left.incident, left.operation, left.base, left.held) == ("INC of h2", "hold", 1, 2)


def test_when_another_holder_lets_go_the_first_one_still_holds() -> None:
    left = HOLD.without("h2")

    assert left is not None
    assert [item.run for item in left.holders] == ["r1", "h3"]
    assert left.operation == "rollback"
