"""Which models serve, and whether they do: `model_dir/serving.json`, which every engine on that folder obeys."""

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from types import EllipsisType

from bot_core.foundation.atomic_file import make_folder, sync, write_atomic
from bot_core.foundation.digest import sha256_hex
from bot_core.foundation.errors import BotCoreError, FileFormatError, IntegrityError
from bot_core.foundation.frozen import frozen, replace
from bot_core.foundation.lock import FileLock
from bot_core.foundation.safe_file import read_inside, read_inside_or_none
from bot_core.foundation.shared_lock import SharedLock
from bot_core.foundation.strict_json import JsonValue, encode_json, parse_object
from bot_core.foundation.watched_file import WatchedFile

SERVING_FILE = "serving.json"
_LOCK_FILE = ".serving.lock"
_WAIT_S = 10.0


class NotServingError(BotCoreError):
    """A score was asked for while serving is detached, or of a model that is not loaded."""


@frozen
class ServedModel:
    """A model as it serves under one name.

    Attributes:
        version: None when nobody said.
        sha256: Digest of the artifact's bytes, which lie in `artifacts/<sha256>.json`.
        source: Where the bytes came from, in the words of whoever loaded them.
        extra: Keys that this version does not know; kept.
    """

    version: str | None
    sha256: str
    source: str
    extra: Mapping[str, JsonValue] = field(default_factory=dict)


@frozen
class Serving:
    """The content of serving.json.

    Attributes:
        attached: Whether models may score.
        default_model: Name of the model that serves where none is named; None when there is no default.
        models: By the name under which they serve.
        generation: Grows by one with each change; engines acknowledge it.
        held_by: Who holds serving detached, in words; None: nobody. While it is held, attaching does not attach.
        extra: Keys that this version does not know; kept.
    """

    attached: bool
    default_model: str | None
    models: Mapping[str, ServedModel]
    generation: int
    held_by: str | None = None
    extra: Mapping[str, JsonValue] = field(default_factory=dict)

    @classmethod
    def initial(cls) -> "Serving":
        """What no file means: attached, and nothing loaded."""
        return cls(attached=True, default_model=None, models={}, generation=0)

    @classmethod
    def parse(cls, data: bytes, source: str) -> "Serving":
        """The state in a file's bytes.

        Raises:
            FileFormatError: Not JSON, or a field is missing or of the wrong sort; names file and place.
        """
        raw = parse_object(data, source)
        models = raw.pop("models", None)
        attached, generation = raw.pop("attached", None), raw.pop("generation", None)
        default_model, held_by = raw.pop("default_model", None), raw.pop("held_by", None)
        if not isinstance(attached, bool):
            raise _fault(source, "attached", "true or false")
        if default_model is not None and not isinstance(default_model, str):
            raise _fault(source, "default_model", "a text or null")
        if held_by is not None and (attached or not isinstance(held_by, str)):
            raise _fault(source, "held_by", "a text, and only where serving is detached")
        if not isinstance(generation, int) or isinstance(generation, bool) or generation < 0:
            raise _fault(source, "generation", "a whole number")
        if not isinstance(models, dict):
            raise _fault(source, "models", "an object")
        served = {name: _served_model(value, f"models.{name}", source) for name, value in models.items()}
        return cls(attached, default_model, served, generation, held_by, raw)

    def encode(self) -> bytes:
        """The file's bytes: indent 2, sorted keys, newline."""
        models = {
            name: {**model.extra, "version": model.version, "sha256": model.sha256, "source": model.source}
            for name, model in self.models.items()
        }
        fields = {
            **self.extra,
            "attached": self.attached,
            "default_model": self.default_model,
            "models": models,
            "generation": self.generation,
            **({} if self.held_by is None else {"held_by": self.held_by}),
        }
        return encode_json(fields, sort_keys=True, newline=True)

    def next(
        self,
        *,
        attached: bool | None = None,
        default_model: str | EllipsisType | None = ...,
        models: Mapping[str, ServedModel] | None = None,
        held_by: str | EllipsisType | None = ...,
    ) -> "Serving":
        """The following generation with these fields changed; a field that is not given stays as it is."""
        return replace(
            self,
            attached=self.attached if attached is None else attached,
            default_model=self.default_model if isinstance(default_model, EllipsisType) else default_model,
            models=self.models if models is None else models,
            generation=self.generation + 1,
            held_by=self.held_by if isinstance(held_by, EllipsisType) else held_by,
        )


def read_serving(model_dir: Path) -> Serving:
    """The state now; writes nothing.

    Raises:
        FileFormatError: The file is corrupt; it is never taken for an absent one.
    """
    return watch_serving(model_dir).value()


def watch_serving(model_dir: Path) -> WatchedFile[Serving]:
    """The state as a value that is always that of now."""
    source = str(model_dir / SERVING_FILE)
    return WatchedFile(
        model_dir, SERVING_FILE, lambda data: Serving.initial() if data is None else Serving.parse(data, source)
    )


def write_serving(model_dir: Path, serving: Serving) -> None:
    """Make `serving` the state, durably, when no engine is in the middle of a score.

    After a crash the file holds the old state or this one. Writing the present state again only makes it lasting.

    Raises:
        BotCoreError: The generation would not grow: somebody else has changed the state meanwhile.
        LockTimeoutError: An engine did not finish its score in time; nothing is changed.
    """
    change_serving(model_dir, lambda _: serving)


def change_serving(model_dir: Path, change: Callable[[Serving], Serving]) -> Serving:
    """Read, change and write the state under its lock, and give the new one; see `write_serving`.

    Args:
        model_dir: Made when it is missing.
        change: Gives `next(…)` of the state it is given, or that very state where nothing is to change.
    """
    make_folder(model_dir, mode=None)
    with serving_lock(model_dir).hold(timeout_s=_WAIT_S) as require_held:
        before = read_serving(model_dir)
        after = change(before)
        if after == before:
            sync(model_dir / SERVING_FILE)
        elif after.generation > before.generation:
            require_held()
            write_atomic(model_dir / SERVING_FILE, after.encode(), root=model_dir)
        else:
            path = str(model_dir / SERVING_FILE)
            raise BotCoreError(
                f"{path} is at generation {before.generation}; generation {after.generation} does not follow it",
                hint="read it again: somebody else has changed it",
                path=path,
            )
    return after


def serving_lock(model_dir: Path) -> FileLock:
    """The lock that an engine shares while it scores and writes, and that a change of the state takes alone."""
    return FileLock(model_dir / _LOCK_FILE, root=model_dir, announces=True)


def shared_serving_lock(model_dir: Path) -> SharedLock:
    """The engine's side of `serving_lock`."""
    return SharedLock(model_dir / _LOCK_FILE, root=model_dir, timeout_s=_WAIT_S)


def store_artifact(model_dir: Path, data: bytes) -> str:
    """Keep the bytes of an artifact under their digest, durably, and give the digest.

    After a crash the file is there with exactly these bytes, or not at all.
    """
    digest = sha256_hex(data)
    path = model_dir / "artifacts" / f"{digest}.json"
    make_folder(model_dir, mode=None)
    make_folder(path.parent, root=model_dir, mode=None)
    if read_inside_or_none(model_dir, f"artifacts/{path.name}") == data:
        sync(path)
    else:
        write_atomic(path, data, root=model_dir)
    return digest


def load_stored(model_dir: Path, sha256: str) -> bytes:
    """The bytes of an artifact that was stored; writes nothing.

    Raises:
        MissingFileError: There is none of that digest.
        IntegrityError: The bytes are not those of the digest.
    """
    data = read_inside(model_dir, f"artifacts/{sha256}.json")
    if sha256_hex(data) != sha256:
        path = str(model_dir / "artifacts" / f"{sha256}.json")
        raise IntegrityError(f"{path} does not have the digest in its name", hint="load the artifact again", path=path)
    return data


def _served_model(value: JsonValue, place: str, source: str) -> ServedModel:
    if not isinstance(value, dict):
        raise _fault(source, place, "an object")
    extra = dict(value)
    version, digest, origin = extra.pop("version", None), extra.pop("sha256", None), extra.pop("source", None)
    if version is not None and not isinstance(version, str):
        raise _fault(source, f"{place}.version", "a text or null")
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise _fault(source, f"{place}.sha256", "a SHA-256 digest")
    if not isinstance(origin, str):
        raise _fault(source, f"{place}.source", "a text")
    return ServedModel(version, digest, origin, extra)


def _fault(source: str, place: str, wanted: str) -> FileFormatError:
    return FileFormatError(f"{source}: {place} is not {wanted}", path=source)
