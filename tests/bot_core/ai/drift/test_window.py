from pathlib import Path

import pytest

from bot_core.ai.drift.window import Window, has_login
from bot_core.foundation.errors import BotCoreError
from tests.bot_core.ai.drift.windows import count, edge_set


@pytest.mark.parametrize(
    "path",
    ["s3://ops:secret@bucket/a.parquet", "s3://secret@bucket/*.parquet", "zip://a.csv::ftp://ops:secret@host/a.zip"],
)
def test_a_url_with_a_login_is_refused_and_not_repeated(tmp_path: Path, path: str) -> None:
    with pytest.raises(BotCoreError, match="holds a user or a password") as caught:
        count(tmp_path, edge_set("x"), path)

    assert "secret" not in f"{caught.value} {caught.value.hint} {caught.value.path}"


@pytest.mark.parametrize("path", ["data/ops@desk.parquet", "s3://bucket/ops@desk/a.parquet", "s3://bucket/a.parquet"])
def test_another_at_is_no_login(path: str) -> None:
    Window(path, "parquet").check()

    assert not has_login(path)
