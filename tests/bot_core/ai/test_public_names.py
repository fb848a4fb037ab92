"""What callers import, by the names that they know."""

import subprocess
import sys

import pytest

import bot_core.ai
from bot_core.ai import models
from bot_core.ai.data_monitoring import export_drift_alert_report
from bot_core.foundation.errors import BotCoreError


def test_a_star_import_brings_every_public_name():
    code = "from bot_core.ai import *; import bot_core.ai; print(set(bot_core.ai.__all__) <= set(globals()))"

    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "True\n"


def test_the_artifact_and_its_bundles_have_their_old_module():
    for name in models.__all__:
        assert getattr(models, name) is getattr(bot_core.ai, name, getattr(models, name))
    assert models.ModelArtifact is bot_core.ai.ModelArtifact
    assert models.load_model_artifact_bundle is bot_core.ai.load_model_artifact_bundle


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}])
def test_a_report_that_json_cannot_hold_is_refused_by_its_key(tmp_path, value):
    payload = {"model_name": "m", "drift_score": value, "threshold": 1.0, "window": 5}

    with pytest.raises(BotCoreError, match=r"^drift_score cannot stand in a report: "):
        export_drift_alert_report(payload, audit_root=tmp_path)

    assert list(tmp_path.rglob("*.json")) == []
