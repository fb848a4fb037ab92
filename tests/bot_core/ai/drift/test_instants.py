import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot_core.ai.drift.instants import from_us, parse_us

TEXTS = st.text() | st.datetimes(timezones=st.timezones()).map(str) | st.floats().map(repr) | st.integers().map(str)


@given(TEXTS)
@example("1e305")
@example("²")
def test_a_text_is_an_instant_of_the_years_1_to_9999_or_refused(text: str) -> None:
    try:
        instant_us = parse_us(text)
    except ValueError:
        return
    assert 1 <= from_us(instant_us).year <= 9999


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_its_zone_puts_beyond_these_years_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="beyond the years 1 to 9999"):
        parse_us(text)
