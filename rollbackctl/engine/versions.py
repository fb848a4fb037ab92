"""Examining every version of the repository's manifest, as it lies on disk."""

import os
import stat
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath

from bot_core.ai.artifact import ModelArtifact
from bot_core.ai.attestation import (
    BundleContent,
    bundle_of_version,
    find_bundle_folders,
    hmac_words,
    judge,
    read_bundle,
)
from bot_core.ai.codec import build_scorer
from bot_core.ai.manifest import Manifest, ManifestEntry
from bot_core.ai.quarantine import Quarantine, read_quarantines
from bot_core.ai.validation import artifact_schema_errors
from bot_core.ai.walk_forward import WalkForward, link_problems, linked_reports, read_walk_forward
from bot_core.foundation.digest import canonical_digest, sha256_hex
from bot_core.foundation.errors import BotCoreError, MissingFileError, UnsafePathError
from bot_core.foundation.frozen import frozen
from bot_core.foundation.safe_file import read_given, read_inside
from bot_core.foundation.strict_json import JsonValue, parse_object
from rollbackctl.core.errors import InvalidInputError
from rollbackctl.core.observation import AttestationFact, BundledFact, VersionFact, WalkForwardFact
from rollbackctl.engine.evidence import sign_off_facts
from rollbackctl.engine.workspace import POLICY_FILE
from rollbackctl.spec.document import HmacKey, Policy

_MAX_KEY_BYTES = 4096


@frozen
class Examiner:
    """Examines the versions of one repository; bundles and walk-forward reports are read once.

    Attributes:
        root: The workspace.
        repository: The repository's path in it.
        keys: HMAC keys by key id, as far as the policy configures them.
        served: When each version served, as far as the decision journal knows.
    """

    root: Path
    repository: str
    keys: Mapping[str, bytes]
    served: Mapping[str, str]

    def examine(self, manifest: Manifest) -> tuple[VersionFact, ...]:
        """Return a fact for every version, in the order of their names."""
        return tuple(self._version(manifest, version) for version in manifest.ordered())

    def _version(self, manifest: Manifest, version: str) -> VersionFact:
        entry = manifest.versions[version]
        path = f"{self.repository}/{entry.file}"
        quarantine = next((item for item in self._quarantines if item.version == version), None)
        common: dict[str, str | None] = {
            "version": version,
            "file": entry.file,
            "saved_at": entry.saved_at,
            "quarantine": quarantine.words() if quarantine else None,
            "served": self.served.get(version),
        }
        if PurePosixPath(entry.file).is_absolute() or ".." in PurePosixPath(entry.file).parts:
            # The manifest's words are not repeated: a plan holds no absolute path.
            return self._unreadable(common, entry, f"its file in the manifest is not a path below {self.repository}")
        try:
            data = read_inside(self.root, path)
        except MissingFileError:
            return self._unreadable(common, entry, f"its file {entry.file} is missing")
        except BotCoreError as error:
            return self._unreadable(common, entry, error.problem)
        try:
            raw = parse_object(data, path)
        except BotCoreError as error:
            return self._unreadable({**common, "sha256": sha256_hex(data)}, entry, error.problem)
        return self._readable(common, data, raw, entry)

    def _unreadable(self, common: Mapping[str, str | None], entry: ManifestEntry, problem: str) -> VersionFact:
        """A version whose file does not tell what it held; its bundle may."""
        name = _text(entry.metadata, "model_name")
        bundled = self._bundled(common["version"] or "", entry)
        return VersionFact(**common, model_name=name, problems=(problem,), bundled=bundled)

    def _bundled(self, version: str, entry: ManifestEntry) -> BundledFact | None:
        bundle = bundle_of_version(self._bundles, version, entry.metadata)
        if bundle is None or bundle.artifact is None:
            return None
        said = self._attestation(dict(bundle.artifact))
        if said.state != "attested" or (self.keys and said.hmac != "ok"):
            return None
        return BundledFact(
            canonical=canonical_digest(dict(bundle.artifact)), folder=bundle.folder, digests=dict(bundle.digests)
        )

    def _readable(
        self, common: Mapping[str, str | None], data: bytes, raw: dict[str, JsonValue], entry: ManifestEntry
    ) -> VersionFact:
        metadata, version = raw.get("metadata"), common["version"] or ""
        problems, attestation = _artifact_problems(raw, entry.file), self._attestation(raw)
        is_other = bool(problems) or attestation.state == "failed"
        names = raw.get("feature_names")
        return VersionFact(
            **common,
            sha256=sha256_hex(data),
            canonical=canonical_digest(raw),
            trained_at=_text(raw, "trained_at"),
            model_name=_text(metadata if isinstance(metadata, dict) else entry.metadata, "model_name"),
            backend=_text(raw, "backend"),
            features=tuple(map(str, names)) if isinstance(names, list) and not problems else (),
            problems=problems,
            bundled=self._bundled(version, entry) if is_other else None,
            attestation=attestation,
            walk_forward=self._walk_forward(raw, version),
        )

    def _attestation(self, raw: dict[str, JsonValue]) -> AttestationFact:
        found = judge(self._bundles, raw, keys=self.keys)
        return AttestationFact(
            state=found.state,
            hmac=hmac_words(found.hmac, found.key_id),
            folder=found.folder,
            problems=tuple(f"bundle {found.folder}: {problem}" for problem in found.problems),
            digests=dict(found.digests),
        )

    def _walk_forward(self, raw: dict[str, JsonValue], version: str) -> WalkForwardFact | None:
        # Where none is linked, one that cannot be read may be the one: it is named.
        reports = linked_reports(self._walks, raw, version) or [walk for walk in self._walks if walk.error]
        if not reports:
            return None
        report = reports[0]
        # Roles are judged where the policy is known; here only what the report says about the artifact.
        own = (report.error,) if report.error else link_problems(report, raw, version, roles=())
        block = report.sign_off or {}
        unsigned = {f"{role} is {item.status}" for role, item in block.items()}
        return WalkForwardFact(
            path=report.path,
            digest=report.digest,
            problems=tuple(problem for problem in own if problem not in unsigned),
            sign_off=sign_off_facts(report.sign_off),
        )

    @cached_property
    def _quarantines(self) -> tuple[Quarantine, ...]:
        return read_quarantines(self.root / self.repository)

    @cached_property
    def _walks(self) -> tuple[WalkForward, ...]:
        return read_walk_forward(self.root)

    @cached_property
    def _bundles(self) -> tuple[BundleContent, ...]:
        return tuple(read_bundle(self.root, folder) for folder in find_bundle_folders(self.root))


def _text(holder: Mapping[str, JsonValue], name: str) -> str | None:
    value = holder.get(name)
    return value if isinstance(value, str) else None


def _artifact_problems(raw: dict[str, JsonValue], file: str) -> tuple[str, ...]:
    """What keeps a readable artifact from scoring: its raw JSON is validated, never a repaired copy."""
    errors = artifact_schema_errors(raw)
    if errors:
        count = f"{len(errors)} place{'s' if len(errors) != 1 else ''}"
        return (f"breaks the schema in {count}: {'; '.join(errors)}",)
    try:
        artifact = ModelArtifact.from_mapping(raw, file)
        build_scorer(artifact).score({name: mean for name, (mean, _) in artifact.feature_scalers.items()})
    except BotCoreError as error:
        return (f"cannot score: {error.problem}",)
    return ()


def hmac_keys(policy: Policy, root: Path) -> dict[str, bytes]:
    """Read the HMAC keys that the policy configures. All of them must be at hand: a host that lacks one cannot judge.

    Raises:
        InvalidInputError: A key file cannot be read, a variable is not set, or what it holds is empty.
    """
    return {key_id: _key(f"hmac_keys.{key_id}", place, root) for key_id, place in sorted(policy.hmac_keys.items())}


def _key(name: str, place: HmacKey, root: Path) -> bytes:
    where, hint = f"the environment variable {place.env}", f"set {place.env} to the key"
    problem, key = "is not set, or empty", os.environ.get(place.env or "", "").encode()
    if place.file is not None:
        where, hint, problem = place.file, "make it a key file that this account can read", "is empty"
        try:
            is_plain = stat.S_ISREG(os.stat(root / place.file).st_mode)  # of a pipe there is no end
            key = read_given(root / place.file, max_bytes=_MAX_KEY_BYTES).strip() if is_plain else b""
        except (OSError, ValueError, UnsafePathError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InvalidInputError(f"{POLICY_FILE}: {name}: {where}: {reason}", hint=hint) from error
        problem = problem if is_plain else "is no plain file"
    if not key:
        raise InvalidInputError(f"{POLICY_FILE}: {name}: {where} {problem}", hint=hint)
    return key
