"""Which version of a repository is to be measured, without a look at anything else in the workspace."""

from pathlib import Path

from bot_core.ai.repository import read_manifest
from bot_core.foundation.digest import sha256_hex
from bot_core.foundation.safe_file import read_inside
from rollbackctl.core.errors import InvalidInputError
from rollbackctl.data_drift.measure import Subject
from rollbackctl.spec.data_drift import DataDriftSettings, data_drift_settings
from rollbackctl.spec.document import Spec


def drift_settings(spec: Spec) -> DataDriftSettings:
    """The section `gates.data_drift` of a rollback plan.

    Raises:
        InvalidInputError: It has none.
    """
    settings = data_drift_settings(spec)
    if settings is None:
        raise InvalidInputError(
            "the rollback plan names no window",
            hint="add spec.gates.data_drift: {window: {path: …, time_column: …}}",
        )
    return settings


def subject_of(root: Path, repository: str, version: str | None) -> Subject:
    """A version, or the active one.

    Raises:
        InvalidInputError: There is no such version, or none is active.
        BotCoreError: The manifest or the artifact cannot be read.
    """
    manifest = read_manifest(root / repository)
    name = version or manifest.active
    if name is None or name not in manifest.versions:
        problem = f"{repository} has no active version" if name is None else f"{repository} has no version {name}"
        raise InvalidInputError(problem, hint=f"its versions: {', '.join(manifest.ordered()) or 'none'}")
    path = f"{repository}/{manifest.versions[name].file}"
    return Subject(name, path, repository, sha256_hex(read_inside(root, path)))
