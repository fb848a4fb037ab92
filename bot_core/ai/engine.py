"""This process as an engine on a model folder: it obeys `serving.json` before each score, and says so."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bot_core.ai.acknowledgement import write_ack
from bot_core.ai.inference import DecisionModelInference
from bot_core.ai.instant import utc_now
from bot_core.ai.repository import ModelRepository
from bot_core.ai.serving import (
    NotServingError,
    ServedModel,
    Serving,
    load_stored,
    shared_serving_lock,
    watch_serving,
)
from bot_core.foundation.errors import MissingFileError
from bot_core.foundation.frozen import frozen
from bot_core.foundation.strict_json import parse_object


@frozen
class Permitted:
    """What may be scored with while the permission is held: a model, its name, and the state that says so."""

    generation: int
    name: str
    model: ServedModel


@dataclass(frozen=True, slots=True)
class Permission:
    """A permission of an engine for a name; may be entered again, also while it is held.

    Attributes:
        require_held: Called before what rests on the permission is written: LockBrokenError where it ended meanwhile.
    """

    name: str | None
    enter: Callable[[str | None], Permitted]
    leave: Callable[..., None]
    require_held: Callable[[], None]

    def __enter__(self) -> Permitted:
        """Share the lock and obey."""
        return self.enter(self.name)

    def __exit__(self, *_: object) -> None:
        """Let the lock go."""
        self.leave()


class Engine:
    """The models of one folder at work in this process.

    A permission is a share of the serving lock, which a change of `serving.json` takes alone: as long as it is held,
    the state is the one that gave it. To ask costs a few system calls; the file is read only when it has changed.
    """

    def __init__(self, model_dir: Path, tell: Callable[[Serving], None]) -> None:
        """Begin; nothing is read or written yet.

        Args:
            model_dir: The folder of `serving.json`.
            tell: Is given each new state before it is acknowledged.
        """
        self.model_dir = model_dir
        self._tell = tell
        self._lock = shared_serving_lock(model_dir)
        self._serving = watch_serving(model_dir)
        self._inferences: dict[str | None, DecisionModelInference] = {}
        self._digests: dict[str | None, str] = {}
        self._obeyed: tuple[int, Serving | None] = (0, None)
        self._given: tuple[Serving | None, dict[str | None, Permitted]] = (None, {})

    def permitted(self, name: str | None) -> Permission:
        """Held while something is scored, and written, with the model for `name` (None: the default), loaded by then.

        Entering it raises:
            NotServingError: Serving is detached, or no such model is loaded.
            IntegrityError: The bytes kept are not those that were loaded.
            FileFormatError: `serving.json` is corrupt.
        """
        return Permission(name, self._enter, self._lock.__exit__, self._lock.require_held)

    def acknowledge(self) -> None:
        """Obey the state of now without a score: for an engine that has nothing to score."""
        with self._lock:
            self.obey(self._serving.value())

    def obey(self, serving: Serving, *, again: bool = False) -> None:
        """Take note of a state, with `again` even when it is known: it is told, and its generation acknowledged."""
        seen = (os.getpid(), serving)  # a forked child is an engine of its own
        if seen == self._obeyed and not again:
            return
        self._tell(serving)
        write_ack(self.model_dir, serving.generation, utc_now())
        self._obeyed = seen

    @property
    def has_obeyed(self) -> bool:
        """Whether this engine has taken note of a state."""
        return self._obeyed != (0, None)

    def inference(self, name: str | None) -> DecisionModelInference:
        """The inference for a name, None for whichever is the default; it obeys before each score."""
        if name not in self._inferences:
            repository, permission = ModelRepository(self.model_dir / "artifacts"), self.permitted(name)
            self._inferences[name] = DecisionModelInference(repository, permit=lambda: permission)
        return self._inferences[name]

    def load(self, name: str | None, model: ServedModel) -> None:
        """Load a model from its stored copy, where it is not the one loaded for `name` already."""
        if self._digests.get(name) == model.sha256:
            return
        self._digests.pop(name, None)
        source = f"{self.model_dir}/artifacts/{model.sha256}.json"
        raw = parse_object(load_stored(self.model_dir, model.sha256), source)
        self.inference(name).load_weights(raw, sha256=model.sha256, source=source)
        self._digests[name] = model.sha256

    def _enter(self, name: str | None) -> Permitted:
        try:
            self._lock.__enter__()
        except MissingFileError as error:
            raise not_loaded(self.model_dir, name) from error
        try:
            serving = self._serving.value()
            seen, given = self._given
            if seen is not serving or os.getpid() != self._obeyed[0]:
                self.obey(serving)
                given = {}
                self._given = serving, given
            if name not in given:
                given[name] = self._permit(serving, name)
            return given[name]
        except BaseException:
            self._lock.__exit__()
            raise

    def _permit(self, serving: Serving, name: str | None) -> Permitted:
        if not serving.attached:
            held = serving.held_by
            raise NotServingError(
                f"serving is detached in {self.model_dir}" + (f": {held}" if held else ""),
                hint="it scores again when the hold is released"
                if held
                else "attach_decision_orchestrator attaches it again",
            )
        key = serving.default_model if name is None else name
        model = None if key is None else serving.models.get(key)
        if key is None or model is None:
            raise not_loaded(self.model_dir, key)
        self.load(name, model)
        return Permitted(serving.generation, key, model)


def not_loaded(model_dir: Path, name: str | None) -> NotServingError:
    """The error that there is no model under a name, or no default one."""
    what = "no default model is set" if name is None else f"no model is loaded as {name!r}"
    return NotServingError(f"{what} in {model_dir}", hint="load_decision_artifact loads one")
