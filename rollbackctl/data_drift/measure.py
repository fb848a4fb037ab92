"""Measuring data drift: one pass over the window for all versions, each held against its own training rows."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from bot_core.ai.drift.scan import Scanned, scan
from bot_core.ai.drift.window import Window

from bot_core.ai.drift.assess import FeatureDrift, assess, assess_segments, worst
from bot_core.ai.drift.profiles import Known, known_profile
from bot_core.ai.drift.tally import EdgeSet
from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.safe_file import read_inside
from bot_core.foundation.strict_json import parse_object
from rollbackctl.core.data_drift import DataDriftFact, MovedFeature, MovedSegment, VersionDrift, WindowFact
from rollbackctl.core.observation import VersionFact
from rollbackctl.engine.workspace import Workspace
from rollbackctl.spec.data_drift import DataDriftSettings, WindowSettings
from rollbackctl.spec.document import seconds

_DIGITS = 6


def measure(
    workspace: Workspace,
    settings: DataDriftSettings,
    repository: str,
    versions: Sequence[VersionFact],
    progress: Callable[[int, int], None] | None = None,
) -> DataDriftFact:
    """Hold every version of a repository against the window; writes nothing in the workspace.

    Args:
        workspace: The workspace.
        settings: The window and its segments.
        repository: The repository's path.
        versions: Its versions as they were examined.
        progress: Is told how many parts of the window are done, and how many there are.

    Raises:
        BotCoreError: The window cannot be read.
    """
    known, problems = _profiles(workspace.root, repository, versions)
    edge_set = EdgeSet.of([item.profile for item in known.values()], settings.segments)
    scanned = _scanned(workspace, settings.window, edge_set, progress)
    return DataDriftFact(
        window=WindowFact(
            path=settings.window.path,
            rows=scanned.rows,
            files=scanned.files,
            first=_text(scanned.first),
            last=_text(scanned.last),
            digest=scanned.digest,
        ),
        versions=tuple(
            _version(fact.version, known[fact.version], edge_set, scanned)
            if fact.version in known
            else VersionDrift(version=fact.version, problem=problems[fact.version])
            for fact in versions
        ),
    )


def window_of(settings: WindowSettings) -> Window:
    """The window that a section of a rollback plan names."""
    return Window(
        path=settings.path,
        format=settings.read_as,
        time_column=settings.time_column,
        since=None if settings.since is None else datetime.fromisoformat(settings.since),
        last=None if settings.last is None else timedelta(seconds=seconds(settings.last)),
    )


def _scanned(
    workspace: Workspace,
    settings: WindowSettings,
    edge_set: EdgeSet,
    progress: Callable[[int, int], None] | None,
) -> Scanned:
    from bot_core.ai.drift.scan import ThreadPool

    return scan(
        window_of(settings), workspace.root, edge_set, pool=ThreadPool(), cache=workspace.cache, progress=progress
    )


def _profiles(root: Path, repository: str, versions: Sequence[VersionFact]) -> tuple[dict[str, Known], dict[str, str]]:
    known: dict[str, Known] = {}
    problems: dict[str, str] = {}
    for fact in versions:
        if fact.sha256 is None or not fact.features:
            problems[fact.version] = "its artifact cannot be read"
            continue
        try:
            path = f"{repository}/{fact.file}"
            found = known_profile(root / repository, parse_object(read_inside(root, path), path), fact.sha256)
        except BotCoreError as error:
            problems[fact.version] = f"its training rows: {error.problem}".replace(f"{root}/", "")
            continue
        if found is None:
            problems[fact.version] = (
                f"nothing tells what it was trained on; make a baseline: rollbackctl baseline {fact.version} --from DATA"
            )
        else:
            known[fact.version] = found
    return known, problems


def _version(version: str, known: Known, edge_set: EdgeSet, scanned: Scanned) -> VersionDrift:
    profile = known.profile
    absent = sorted({*profile.features, *profile.categories} & {*scanned.absent})
    found = assess(profile, edge_set, scanned.tally)
    parts = assess_segments(profile, edge_set, scanned.tally)
    return VersionDrift(
        version=version,
        source=profile.source,
        approximate=profile.is_approximate,
        features=tuple(map(_feature, found)),
        segments=tuple(
            MovedSegment(segment=column, value=value, rows=rows, worst=_worst(features))
            for column, values in parts.items()
            for value, (rows, features) in values.items()
        ),
        inputs=dict(known.files),
        problem=f"the window has no column {', '.join(absent)}" if absent else None,
    )


def _worst(features: Sequence[FeatureDrift]) -> MovedFeature | None:
    return next((_feature(item) for item in worst(features, 1)), None)


def _feature(item: FeatureDrift) -> MovedFeature:
    measures: Mapping[str, float] = {name: round(value, _DIGITS) for name, value in sorted(item.measures.items())}
    return MovedFeature(
        feature=item.feature,
        measures=dict(measures),
        values=item.values,
        certain=item.is_certain,
        drifted=item.has_drifted,
        approximate=item.is_approximate,
        new_names=item.new_names,
    )


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
