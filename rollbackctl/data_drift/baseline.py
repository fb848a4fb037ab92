"""A baseline made afterwards, for a version whose training wrote none."""

from pathlib import Path

from bot_core.ai.baseline import Baseline, make_baseline
from bot_core.ai.dataset import FeatureTable
from bot_core.ai.drift.profiles import add_baseline
from bot_core.ai.drift.scan import Pool, read_window
from bot_core.ai.drift.window import Window
from bot_core.foundation.errors import BotCoreError, FileFormatError, IntegrityError, MissingFileError
from bot_core.foundation.safe_file import read_inside
from bot_core.foundation.strict_json import parse_object
from rollbackctl.core.commands import quote
from rollbackctl.data_drift.measure import Subject

_LEAST_ROWS = 100


def make_afterwards(root: Path, subject: Subject, rows: Window, pool: Pool) -> tuple[Baseline, str]:
    """Measure the rows that a version was trained on, and keep what is found beside its artifact.

    The artifact is not touched. After a crash the baseline is there whole and named, or counts for nothing.

    Args:
        root: The workspace.
        subject: The version.
        rows: Its training rows.
        pool: Who counts them.

    Returns:
        The baseline, and the path of the file that names it, below the workspace.

    Raises:
        BotCoreError: The artifact names a baseline of its own, or the rows cannot be read, lack a feature of the
            model's, or have none of its values.
    """
    raw = parse_object(read_inside(root, subject.artifact), subject.artifact)
    metadata, found = raw.get("metadata"), raw.get("feature_names")
    if isinstance(metadata, dict) and "feature_baseline" in metadata:
        raise IntegrityError(
            f"{subject.version} names the baseline of its own training, which counts before any other",
            hint="see how it is measured: rollbackctl drift PLAN --dry-run --version " + quote(subject.version),
        )
    if not isinstance(found, list) or not found or subject.sha256 is None:
        raise FileFormatError(f"{subject.artifact} names no features", path=subject.artifact)
    baseline = baseline_of(tuple(map(str, found)), rows, root, pool)
    if baseline.rows < _LEAST_ROWS:
        raise FileFormatError(
            f"{rows.path} has {baseline.rows:,} rows: nothing is certain against so few, at least {_LEAST_ROWS}",
            hint="name all the rows that it was trained on",
            path=rows.path,
        )
    path = add_baseline(root / subject.repository, baseline, artifact_sha256=subject.sha256, source=rows.path)
    return baseline, path.relative_to(root).as_posix()


def baseline_of(names: tuple[str, ...], rows: Window, root: Path, pool: Pool) -> Baseline:
    """The baseline of these features; writes nothing.

    Raises:
        BotCoreError: The rows cannot be read, lack a feature, or have none of its values.
    """
    table = _table(names, rows, root, pool)
    try:
        return make_baseline(table)
    except BotCoreError as error:
        raise FileFormatError(f"{rows.path}: {error.problem}", path=rows.path) from error


def _table(names: tuple[str, ...], rows: Window, root: Path, pool: Pool) -> FeatureTable:
    """The rows as a table without a target."""
    import numpy as np

    found = read_window(rows, root, names, (), pool=pool)
    if lacking := sorted({*names} & found.absent):
        raise FileFormatError(f"{rows.path} has no column {', '.join(lacking)}", path=rows.path)
    batches = list(found.batches)
    count = sum(batch.rows for batch in batches)
    if not count:
        raise MissingFileError(f"{rows.path} has no rows", path=rows.path)
    matrix = np.empty((count, len(names)), order="F")
    for place, name in enumerate(names):
        np.concatenate([batch.numbers[name] for batch in batches], out=matrix[:, place])
        if np.isinf(matrix[:, place]).any():
            raise FileFormatError(f"{rows.path}: {name} holds a value that is not finite", path=rows.path)
    nothing = np.zeros(count)
    return FeatureTable(names, matrix, nothing, nothing, source=rows.path)
