import pytest
from hypothesis import given

from rollbackctl.core.address import Address
from tests.strategies import addresses


@given(addresses())
def test_an_address_is_read_back_from_its_text(address: Address) -> None:
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize("text", ["", "kind", "kind/", "/name", "/"])
def test_what_is_not_kind_and_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not kind/name"):
        Address.parse(text)


def test_addresses_are_ordered_by_kind_and_then_by_name() -> None:
    given_order = [Address("b", "a"), Address("a", "z"), Address("a", "b/c"), Address("a", "b")]

    assert [str(address) for address in sorted(given_order)] == ["a/b", "a/b/c", "a/z", "b/a"]
