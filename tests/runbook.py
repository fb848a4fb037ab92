"""Pages whose code blocks run: each block in a process of its own, in order, in one workspace."""

import json
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_FENCE = re.compile(r"^( *)```(python|sh)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fence of a page."""

    language: str
    code: str


def blocks(page: Path) -> tuple[Block, ...]:
    """The page's Python and shell blocks, without the indentation of the list that they stand in."""
    found = _FENCE.findall(page.read_text(encoding="utf-8"))
    return tuple(Block(language, textwrap.dedent(code)) for _, language, code in found)


def run(block: Block, workspace: Path) -> subprocess.CompletedProcess[str]:
    """Run a block as a reader would who has the project installed."""
    command = [sys.executable, "-"] if block.language == "python" else ["bash", "-euo", "pipefail"]
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": tools, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, input=block.code, cwd=workspace, env=environment, capture_output=True, text=True, check=False
    )


@dataclass
class Workspace:
    """A workspace, and what the last block printed there."""

    root: Path
    printed: str = ""

    def json(self, path: str) -> Any:
        """The content of a JSON file."""
        return json.loads((self.root / path).read_bytes())

    def text(self, path: str) -> str:
        """The content of a text file."""
        return (self.root / path).read_text(encoding="utf-8")

    def files(self) -> dict[str, bytes]:
        """Every file but the locks."""
        return {str(p): p.read_bytes() for p in self.root.rglob("*") if p.is_file() and p.suffix != ".lock"}

    def do(self, block: Block) -> None:
        """Run a block, which must succeed."""
        done = run(block, self.root)
        assert done.returncode == 0, done.stderr
        self.printed = done.stdout
