"""The serving state of a model folder: whether scoring is attached, and which artifact answers to which name."""

from collections.abc import Iterable
from typing import ClassVar

from bot_core.ai.serving import ServedModel, Serving, change_serving, load_stored, read_serving, store_artifact
from bot_core.foundation.atomic_file import make_folder
from bot_core.foundation.errors import BotCoreError
from rollbackctl.core.facts import Facts
from rollbackctl.core.plan import Desired, Phase
from rollbackctl.core.state import HELD_BY, State
from rollbackctl.kinds import Binding
from rollbackctl.spec.document import Spec


class Served(State):
    """One name: the version and the digest of the artifact that answers to it."""

    version: str | None
    sha256: str
    source: str


class ServingState(State):
    """What `serving.json` says but its generation.

    `held_by` keeps an engine that restarts from attaching again; `damaged` are digests whose stored copy is gone or
    differs.
    """

    attached: bool
    held_by: str | None = None
    default_model: str | None = None
    models: dict[str, Served] = {}
    damaged: tuple[str, ...] = ()


class ServingKind:
    """`serving/<model folder>`."""

    name: ClassVar[str] = "serving"
    requires: ClassVar[tuple[str, ...]] = ("model_alias", "deployed_copy", "artifact_quarantine")
    state: ClassVar[type[State]] = ServingState

    def __init__(self, binding: Binding) -> None:
        self._binding = binding

    def hold(self, spec: Spec) -> Iterable[Desired]:
        """Detach: nothing scores."""
        yield Desired(spec.spec.serving.model_dir, Phase.RELEASE, lambda base: base, hold=_detached)

    def desire(self, spec: Spec, facts: Facts) -> Iterable[Desired]:
        """Detach, load the target under its names, attach again."""
        target = Served(version=facts.target.version, sha256=facts.target.sha256, source=facts.target.source)
        names = dict.fromkeys(facts.serve_as, target)

        def loaded(base: State | None) -> ServingState:
            held = _detached(base)
            models = held.models | names
            others = {model.sha256 for model in models.values()} - {target.sha256}
            # A lost copy under another name stays lost: it does not stop the rollback.
            damaged = tuple(digest for digest in held.damaged if digest in others)
            return held.model_copy(update={"models": models, "damaged": damaged})

        def released(base: State | None) -> ServingState:
            return loaded(base).model_copy(
                update={"attached": True, "held_by": None, "default_model": facts.default_model}
            )

        model_dir = spec.spec.serving.model_dir
        yield Desired(model_dir, Phase.RESTORE, loaded, hold=_detached)
        yield Desired(model_dir, Phase.RELEASE, released)

    def observe(self, name: str) -> State | None:
        """Read `serving.json`; a file that says "attached, nothing loaded" is as good as none."""
        return self._state(name, read_serving(self._binding.root / name))

    def _state(self, name: str, serving: Serving) -> State | None:
        if serving.attached and not serving.models and serving.default_model is None:
            return None
        digests = {model.sha256 for model in serving.models.values()}
        return ServingState(
            attached=serving.attached,
            held_by=serving.held_by,
            default_model=serving.default_model,
            models={
                key: Served(version=model.version, sha256=model.sha256, source=model.source)
                for key, model in sorted(serving.models.items())
            },
            damaged=tuple(sorted(digest for digest in digests if not self._is_stored(name, digest))),
        )

    def move(self, name: str, before: State | None, after: State | None) -> None:
        """Store the artifacts under their digests, then replace `serving.json` unless somebody has just changed it."""
        wanted = after if isinstance(after, ServingState) else ServingState(attached=True)
        if self.observe(name) == after:
            return
        model_dir = self._binding.root / name
        make_folder(model_dir, root=self._binding.root, mode=None)
        for digest in sorted({model.sha256 for model in wanted.models.values()} - set(wanted.damaged)):
            if not self._is_stored(name, digest):
                store_artifact(model_dir, self._binding.fetch(digest))
        models = {
            key: ServedModel(version=model.version, sha256=model.sha256, source=model.source)
            for key, model in wanted.models.items()
        }

        def changed(now: Serving) -> Serving:
            if _undamaged(self._state(name, now)) != _undamaged(before):
                return now
            return now.next(
                attached=wanted.attached, default_model=wanted.default_model, models=models, held_by=wanted.held_by
            )

        change_serving(model_dir, changed)

    def files(self, name: str) -> tuple[str, ...]:
        """`serving.json` and the stored copies that it names."""
        try:
            models = read_serving(self._binding.root / name).models
        except BotCoreError:
            models = {}
        copies = {f"{name}/artifacts/{model.sha256}.json" for model in models.values()}
        return (f"{name}/serving.json", *sorted(copies))

    def _is_stored(self, name: str, digest: str) -> bool:
        try:
            load_stored(self._binding.root / name, digest)
        except BotCoreError:
            return False
        return True


def _undamaged(state: State | None) -> State | None:
    """A state whatever is stored: lost copies are stored again before the file is changed."""
    return state.model_copy(update={"damaged": ()}) if isinstance(state, ServingState) else state


def _detached(base: State | None) -> ServingState:
    held = {"attached": False, "held_by": HELD_BY}
    return base.model_copy(update=held) if isinstance(base, ServingState) else ServingState(**held)
