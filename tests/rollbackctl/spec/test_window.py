from pathlib import Path

import pytest

from rollbackctl.core.errors import InvalidInputError
from rollbackctl.spec.data_drift import DataDriftSettings, window_at
from rollbackctl.spec.load import load_spec
from tests.harness import PLAN, new_site

URL = "s3://ops:secret@bucket/a.parquet"
TEXT = f"""\
apiVersion: rollbackctl/v1alpha1
kind: RollbackPlan
metadata: {{name: plan, incident: INC-1}}
spec: {{model: {{}}, gates: {{data_drift: {{window: {{path: "{URL}"}}}}}}}}
"""


def test_a_plan_whose_window_holds_a_password_is_refused_without_it() -> None:
    with pytest.raises(InvalidInputError) as caught:
        load_spec(TEXT.encode(), "plan.yaml", kinds=(), gates={"data_drift": DataDriftSettings}, checks={})

    [problem] = caught.value.problems
    assert problem.line == 4
    assert "must hold no user and no password" in problem.text
    assert "secret" not in f"{caught.value.problem} {caught.value.hint} {problem}"


def test_nor_does_a_command_repeat_it(tmp_path: Path) -> None:
    site = new_site(tmp_path / "ws", signed=False)
    (site.root / PLAN).write_text(TEXT)

    for command in (("plan", PLAN), ("baseline", "v9", "--from", URL)):
        done = site(*command)

        assert done.code == 8
        assert "no password" in done.err
        assert "secret" not in done.out + done.err


def test_what_is_no_path_of_a_workspace_is_named() -> None:
    with pytest.raises(InvalidInputError, match=r"^/etc/passwd: "):
        window_at("/etc/passwd", None)
