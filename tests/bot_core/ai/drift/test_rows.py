from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_core.ai.drift import rows
from bot_core.ai.drift.rows import gathered


@given(st.lists(st.text(max_size=9) | st.none()))
def test_no_batch_holds_much_more_text_than_it_may_and_no_row_is_lost(words: list[str | None]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "_BATCH_CHARACTERS", 10)
        patch.setattr(rows, "_BATCH_ROWS", 4)
        pieces = list(gathered((([], [word], None) for word in words), (), ("s",), timed=False))

    columns = [piece.batch.texts["s"] for piece in pieces]
    found = [[column.values[code] if code >= 0 else None for code in column.codes] for column in columns]
    assert list(chain(*found)) == words
    assert all(len(some) <= 4 and sum(map(len, filter(None, some[:-1]))) <= 10 for some in found)
