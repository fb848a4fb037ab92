"""Names of the workspace that lead to a quarantined model: a hold is not released while there are any."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bot_core.ai.manifest import Manifest
from bot_core.ai.quarantine import read_quarantines
from bot_core.foundation.errors import BotCoreError
from rollbackctl.core.address import Address
from rollbackctl.core.errors import GateBlockedError, Problem
from rollbackctl.core.state import State, state_json
from rollbackctl.engine.search import canonical, find_manifests

_ACTIVE = "active version"


def refuse_quarantined(root: Path, serving: Address, beneath: State | None) -> None:
    """Refuse to attach serving again while a name leads to a model that is quarantined.

    Args:
        root: The workspace.
        serving: The serving state that would be put back.
        beneath: That state; None is attached, with nothing loaded by name.

    Raises:
        GateBlockedError: Names every such name.
    """
    fields: dict[str, Any] = state_json(beneath) or {"attached": True, "models": {}}
    if not fields["attached"]:
        return
    manifests = find_manifests(root)
    quarantined = _digests(root, manifests)
    served = {
        f"{serving}: served model {name}": f"{serving.name}/artifacts/{model['sha256']}.json"
        for name, model in fields["models"].items()
    }
    named = {place: path for path, manifest in manifests.items() for place, path in _names(path, manifest)}
    found = [place for place, path in sorted((served | named).items()) if canonical(root, path) in quarantined]
    if found:
        raise GateBlockedError(
            "it would put a quarantined model back to work",
            problems=tuple(map(Problem, found)),
            hint="stay held; a plan that restores a good version leads on: rollbackctl status",
        )


def quarantined_repositories(root: Path, manifests: Mapping[str, Manifest]) -> tuple[str, ...]:
    """Return the repositories whose active version is a quarantined model."""
    quarantined = _digests(root, manifests)
    return tuple(
        path
        for path, manifest in manifests.items()
        for label, file in (_names(path, manifest) if quarantined else ())
        if label.startswith(f"{path}: {_ACTIVE} (") and canonical(root, file) in quarantined
    )


def _digests(root: Path, manifests: Iterable[str]) -> set[str]:
    """What is quarantined anywhere in the workspace."""
    return {item.sha256 for path in manifests for item in read_quarantines(root / path)}


def _names(path: str, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """What the active version and each alias lead to, as files."""
    names = {_ACTIVE: manifest.active} | {f"alias {alias}": alias for alias in manifest.aliases}
    for label, name in names.items():
        try:
            version = manifest.version_of(name)
        except BotCoreError:
            continue  # it leads nowhere
        yield f"{path}: {label} ({version})", f"{path}/{manifest.versions[version].file}"
