import pytest
from pydantic import TypeAdapter, ValidationError

from rollbackctl.core import data_drift, observation, replay
from rollbackctl.core.fact import Fact
from rollbackctl.core.observation import Holder, HoldFact, Instant, Observation


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


FACTS = [
    item
    for module in (data_drift, observation, replay)
    for item in vars(module).values()
    if isinstance(item, type) and issubclass(item, Fact) and item.__module__ == module.__name__
]
SAID = {(Observation, "format_version"): "1.0", (replay.ReplayFact, "sampled"): 1}


@pytest.mark.parametrize("fact", FACTS)
def test_what_a_fact_does_not_say_is_unknown_or_nothing(fact: type[Fact]) -> None:
    for name, field in fact.model_fields.items():
        if not field.is_required():
            kind = TypeAdapter(field.annotation)
            nothing = next(item for item in (None, False, (), {}, "", 0, "1.0") if is_valid(kind, item))
            assert (name, field.default) == (name, SAID.get((fact, name), nothing))
            assert type(field.default) is type(SAID.get((fact, name), nothing))


def is_valid(kind: TypeAdapter[object], value: object) -> bool:
    try:
        kind.validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


def test_a_fact_cannot_be_changed_and_holds_no_more_than_its_fields() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        HOLD.run = "r9"
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Holder.model_validate(holder("r1").model_dump() | {"more": 1})
