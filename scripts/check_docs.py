"""Check committed files: relative links in Markdown lead somewhere, and nothing refers to a folder outside."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

_LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)|^\s*\[[^\]]+\]:\s*<?([^\s>]+)", re.MULTILINE)
_CODE = re.compile(r"^ *(```|~~~).*?^ *\1|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|#|/", re.IGNORECASE)
_OUTSIDE = "../" + "shared"


def main(root: Path) -> int:
    problems = [problem for path in _committed(root) for problem in _problems(root, path)]
    print(*problems, sep="\n", end="\n" * bool(problems), file=sys.stderr)
    return 1 if problems else 0


def _committed(root: Path) -> list[Path]:
    """Files that are, or would be, in the next commit."""
    # CI may check out as one user and run as another; listing files is safe all the same.
    command = ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    paths = {root / name for name in listed.split("\0") if name}
    return sorted(path for path in paths if path.is_file())


def _problems(root: Path, path: Path) -> Iterator[str]:
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        return
    name = path.relative_to(root)
    if _OUTSIDE in text:
        yield f"{name}: refers to {_OUTSIDE}, which is not in the repository"
    if path.suffix == ".md" and name.parts[0] != "tests":
        for target in _links(text):
            if not (path.parent / target).exists():
                yield f"{name}: link to {target}, which does not exist"


def _links(text: str) -> Iterator[str]:
    for match in _LINK.finditer(_CODE.sub("", text)):
        target = match[1] or match[2]
        if not _ELSEWHERE.match(target):
            yield unquote(target.split("#")[0])


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parents[1]))
