import pytest

from bot_core.foundation.errors import BotCoreError


@pytest.mark.parametrize(
    ("error", "located"),
    [
        (BotCoreError("a key is given twice", path="a.json", line=3), "a.json:3: a key is given twice"),
        (BotCoreError("a.json:3: a key is given twice", path="a.json", line=3), "a.json:3: a key is given twice"),
        (BotCoreError("a.csv, line 3: no number", path="a.csv", line=3), "a.csv, line 3: no number"),
        (BotCoreError("a.csv, line 3: no number", path="a.csv", line=4), "a.csv:4: a.csv, line 3: no number"),
        (BotCoreError("does not exist", path="a.json"), "a.json: does not exist"),
        (BotCoreError("a.json does not exist", path="a.json"), "a.json does not exist"),
        (BotCoreError("no journal"), "no journal"),
        (BotCoreError("no journal", line=3), "no journal"),
    ],
)
def test_an_error_names_its_file_and_line_once(error: BotCoreError, located: str) -> None:
    assert error.located == located
