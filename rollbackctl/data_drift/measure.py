"""Measuring data drift: one pass over the window for all versions, each held against its own training rows."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from bot_core.ai.drift.assess import FeatureDrift, assess, assess_segments, worst
from bot_core.ai.drift.profiles import Known, known_profile
from bot_core.ai.drift.ruler import Profile
from bot_core.ai.drift.scan import Pool, Scanned, scan
from bot_core.ai.drift.tally import EdgeSet
from bot_core.ai.drift.window import Window
from bot_core.foundation.cache import DerivedCache
from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.frozen import frozen
from bot_core.foundation.safe_file import read_inside
from bot_core.foundation.strict_json import parse_object
from rollbackctl.core.commands import quote
from rollbackctl.core.data_drift import DataDriftFact, MovedFeature, MovedSegment, VersionDrift, WindowFact
from rollbackctl.spec.data_drift import DataDriftSettings, WindowSettings
from rollbackctl.spec.document import seconds

_DIGITS = 6


@frozen
class Subject:
    """A version to be measured.

    Attributes:
        artifact: Its file, relative to the workspace.
        repository: The repository's path, whose folder holds the baselines.
        sha256: Digest of the artifact's bytes; None where they cannot be read.
    """

    version: str
    artifact: str
    repository: str
    sha256: str | None


def measure(
    root: Path,
    settings: DataDriftSettings,
    subjects: Sequence[Subject],
    *,
    pool: Pool,
    cache: DerivedCache | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> DataDriftFact:
    """Hold versions against a window, in one pass over it; writes nothing in the workspace.

    Args:
        root: The workspace.
        settings: The window and its segments.
        subjects: The versions.
        pool: Who counts.
        cache: Counts of files that were scanned before.
        progress: Is told how many parts of the window are done, and how many there are.

    Raises:
        BotCoreError: The window cannot be read.
    """
    known, problems = _profiles(root, subjects)
    edge_set = EdgeSet.of([item.profile for item in known.values()], settings.segments)
    scanned = scan(window_of(settings.window), root, edge_set, pool=pool, cache=cache, progress=progress)
    return DataDriftFact(
        window=_window(settings, scanned),
        versions=tuple(
            _version(subject.version, known[subject.version], edge_set, scanned)
            if subject.version in known
            else VersionDrift(version=subject.version, problem=problems[subject.version])
            for subject in subjects
        ),
    )


@frozen
class Measured:
    """One version's measurement in full; `rows` is how many training rows there were, None where nothing says."""

    window: WindowFact
    source: str
    rows: int | None
    features: tuple[FeatureDrift, ...]


def measure_one(
    root: Path,
    settings: DataDriftSettings,
    subject: Subject,
    *,
    pool: Pool,
    cache: DerivedCache | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Measured:
    """Hold one version against a window; as `measure`, but nothing is left out and what cannot be told is an error.

    Raises:
        BotCoreError: The window cannot be read, nothing tells what the version was trained on, or the window lacks a
            column of the model's.
    """
    known, problems = _profiles(root, [subject])
    if subject.version not in known:
        raise BotCoreError(f"{subject.version}: {problems[subject.version]}")
    profile = known[subject.version].profile
    edge_set = EdgeSet.of([profile])
    scanned = scan(window_of(settings.window), root, edge_set, pool=pool, cache=cache, progress=progress)
    if absent := _absent(profile, scanned):
        raise BotCoreError(f"{subject.version}: {absent}")
    return Measured(_window(settings, scanned), profile.source, profile.rows, assess(profile, edge_set, scanned.tally))


def window_of(settings: WindowSettings) -> Window:
    """The window that a section of a rollback plan names."""
    return Window(
        path=settings.path,
        format=settings.read_as,
        time_column=settings.time_column,
        since=None if settings.since is None else datetime.fromisoformat(settings.since),
        last=None if settings.last is None else timedelta(seconds=seconds(settings.last)),
    )


def _profiles(root: Path, subjects: Sequence[Subject]) -> tuple[dict[str, Known], dict[str, str]]:
    known: dict[str, Known] = {}
    problems: dict[str, str] = {}
    for subject in subjects:
        version = subject.version
        if subject.sha256 is None:
            problems[version] = "its artifact cannot be used"
            continue
        try:
            artifact = parse_object(read_inside(root, subject.artifact), subject.artifact)
            found = known_profile(root / subject.repository, artifact, subject.sha256)
        except BotCoreError as error:
            where = f"its training rows, in {subject.repository}"
            problems[version] = f"{where}: {error.problem}".replace(f"{root}/", "")
            continue
        if found is None:
            advice = f"make a baseline: rollbackctl baseline {quote(version)} --from DATA"
            problems[version] = f"nothing tells what it was trained on; {advice}"
        else:
            known[version] = found
    return known, problems


def _version(version: str, known: Known, edge_set: EdgeSet, scanned: Scanned) -> VersionDrift:
    profile = known.profile
    found = assess(profile, edge_set, scanned.tally)
    parts = assess_segments(profile, edge_set, scanned.tally)
    return VersionDrift(
        version=version,
        source=profile.source,
        approximate=profile.is_approximate,
        unsigned=not known.is_signed,
        features=tuple(map(_feature, found)),
        segments=tuple(
            MovedSegment(segment=column, value=value, rows=part.rows, worst=_worst(part.features), own=part.is_own)
            for column, values in parts.items()
            for value, part in values.items()
        ),
        inputs=dict(known.files),
        problem=_absent(profile, scanned),
    )


def _absent(profile: Profile, scanned: Scanned) -> str | None:
    absent = sorted({*profile.features, *profile.categories} & {*scanned.absent})
    return f"the window has no column {', '.join(absent)}" if absent else None


def _window(settings: DataDriftSettings, scanned: Scanned) -> WindowFact:
    return WindowFact(
        path=settings.window.path,
        rows=scanned.rows,
        files=scanned.files,
        first=_text(scanned.first),
        last=_text(scanned.last),
        digest=scanned.digest,
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
