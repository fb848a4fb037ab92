"""The files of a window: which there are, how each is opened, and by what it is known to be unchanged.

Below the workspace no link is followed. A URL names what lies outside it; fsspec opens that.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from bot_core.ai.drift.window import Window
from bot_core.foundation.cache import DerivedCache
from bot_core.foundation.descriptor import folder_opened, open_plain
from bot_core.foundation.errors import BotCoreError, MissingFileError, UnsafePathError
from bot_core.foundation.frozen import frozen

_SUFFIXES = {"parquet": (".parquet", ".pq"), "csv": (".csv",), "journal": (".jsonl", ".log")}
_URL = "://"
_WILD = frozenset("*?[")
_NEXT = "look at the path of the window, and whether its data have arrived"


@frozen
class Source:
    """One file of a window.

    Attributes:
        root: The workspace; None for a URL.
        path: Relative to it, or the URL.
        size: In bytes.
        key: What changes when the file is replaced or written; None where its store does not tell.
    """

    root: str | None
    path: str
    size: int
    key: str | None


def find_sources(window: Window, root: Path) -> tuple[Source, ...]:
    """The files of a window, sorted; hidden ones and locks are passed over, so is what has another suffix in a folder.

    Raises:
        MissingFileError: There is no such file or folder, or no file in it.
        UnsafePathError: A link is met, or the path leaves the workspace.
        BotCoreError: What a URL needs is not installed, or its store cannot be read.
    """
    suffixes = _SUFFIXES[window.format]
    if _URL in window.path:
        if window.format == "journal":
            raise BotCoreError(f"{window.path}: a decision journal is read below the workspace, not from a URL")
        found = _find_far(window.path, suffixes)
    else:
        # A decision journal is the files of one folder.
        found = _find_near(window.path, root, suffixes, deep=window.format != "journal")
    if not found:
        raise MissingFileError(f"{window.path} has no {window.format} file", hint=_NEXT, path=window.path)
    return found


@contextmanager
def opened(source: Source) -> Iterator[Any]:
    """A binary file to read from, closed at the end.

    Raises:
        MissingFileError, UnsafePathError: As in `bot_core.foundation.safe_file`.
        BotCoreError: As in `find_sources`.
    """
    if source.root is None:
        fs, name = _file_system(source.path)
        with _told(source.path):
            file = fs.open(name, "rb", cache_type="none")
        with file:
            yield file
        return
    path = Path(source.root, source.path)
    with folder_opened(path.parent, Path(source.root)) as folder:
        descriptor = open_plain(path, folder, os.O_RDONLY)
    with os.fdopen(descriptor, "rb") as file:
        yield file


def as_now(source: Source) -> Source:
    """The same file with its size and key of now.

    Raises:
        MissingFileError: It is gone.
    """
    if source.root is None:
        fs, path = _file_system(source.path)
        with _told(source.path):
            fs.invalidate_cache()
            return _far(fs, fs.info(path))
    with opened(source) as file:
        return _near(source.root, source.path, os.fstat(file.fileno()))


def _near(root: str, path: str, status: os.stat_result) -> Source:
    return Source(root, path, status.st_size, DerivedCache.file_key(status))


def _find_near(path: str, root: Path, suffixes: tuple[str, ...], *, deep: bool) -> tuple[Source, ...]:
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or "\0" in path:
        raise UnsafePathError(f"{path!r} is not a path below the workspace", hint="a URL may lie outside", path=path)
    if (wild := _first_wild(pure.parts)) < len(pure.parts):
        top = PurePosixPath(*pure.parts[:wild])
        files = _walk(root, top, deep=True)
        return tuple(item for item in files if _matches(PurePosixPath(item.path).parts, pure.parts))
    try:
        status = os.lstat(root / pure)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingFileError(f"{path} does not exist", hint=_NEXT, path=path) from error
    if stat.S_ISDIR(status.st_mode):
        return tuple(item for item in _walk(root, pure, deep=deep) if item.path.endswith(suffixes))
    return (as_now(_near(str(root), str(pure), status)),)


def _walk(root: Path, folder: PurePosixPath, *, deep: bool) -> Iterator[Source]:
    """The plain files below a folder, sorted; a link among them is an error, since nobody follows it."""
    with folder_opened(root / folder, root) as descriptor:
        names = sorted(name for name in os.listdir(descriptor) if not _is_passed_over(name))
        found = [(name, os.stat(name, dir_fd=descriptor, follow_symlinks=False)) for name in names]
    for name, status in found:
        path = folder / name
        if stat.S_ISLNK(status.st_mode):
            raise UnsafePathError(
                f"{path} is a link", hint="name what it leads to in the window, or copy it here", path=str(path)
            )
        if stat.S_ISDIR(status.st_mode):
            yield from _walk(root, path, deep=deep) if deep else ()
        else:
            yield _near(str(root), str(path), status)


def _is_passed_over(name: str) -> bool:
    return name.startswith((".", "_")) or name.endswith(".lock")


def _first_wild(parts: tuple[str, ...]) -> int:
    """Where a pattern begins to be one; the number of its parts where it is none."""
    return next((place for place, part in enumerate(parts) if _WILD & {*part}), len(parts))


def _matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return _matches(parts, pattern[1:]) or (bool(parts) and _matches(parts[1:], pattern))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _find_far(url: str, suffixes: tuple[str, ...]) -> tuple[Source, ...]:
    fs, path = _file_system(url)
    with _told(url):
        fs.invalidate_cache()
        if _WILD & {*path}:
            found = fs.glob(path, detail=True)
            names = [name for name, entry in found.items() if entry["type"] == "file"]
        elif fs.isdir(path):
            found = fs.find(path, detail=True)
            names = [name for name in found if name.endswith(suffixes)]
        elif fs.exists(path):
            found = {path: fs.info(path)}
            names = [path]
        else:
            raise MissingFileError(f"{url} does not exist", hint=_NEXT, path=url)
        top = _first_wild(PurePosixPath(path).parts)
        return tuple(
            _far(fs, found[name])
            for name in sorted(names)
            if not any(map(_is_passed_over, PurePosixPath(name).parts[top:]))
        )


def _far(fs: Any, entry: dict[str, Any]) -> Source:
    url = fs.unstrip_protocol(entry["name"])
    mark = entry.get("ETag") or entry.get("etag")
    if mark is None:
        try:
            mark = fs.modified(entry["name"])
        except NotImplementedError:
            return Source(None, url, entry["size"], None)
    return Source(None, url, entry["size"], f"{url} {entry['size']} {mark}")


def _file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it."""
    try:
        from fsspec.core import url_to_fs

        fs, path = url_to_fs(url)
    except ImportError as error:
        scheme = url.split(_URL)[0]
        is_ours = (error.name or "").startswith("fsspec") or scheme in ("s3", "s3a")
        raise BotCoreError(
            f"{url}: what reads {scheme}:// is not installed: {error}",
            hint="pip install 'rollbackctl[object-store]'" if is_ours else f"install fsspec's driver for {scheme}://",
            path=url,
        ) from error
    except ValueError as error:
        raise BotCoreError(f"{url}: {error}", hint="name an s3://, file:// or memory:// URL", path=url) from error
    return fs, path


@contextmanager
def _told(url: str) -> Iterator[None]:
    """What a driver raises becomes ours, with the URL."""
    try:
        yield
    except BotCoreError:
        raise
    except FileNotFoundError as error:
        raise MissingFileError(f"{url} does not exist", hint=_NEXT, path=url) from error
    except Exception as error:
        raise BotCoreError(
            f"{url} cannot be read: {error}", hint="look at the URL, and at the credentials for its store", path=url
        ) from error
