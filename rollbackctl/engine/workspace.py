"""One deployment on this machine: where it is, who works on it, and the rules that hold there."""

import os
import pwd
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bot_core.foundation.cache import DerivedCache, user_cache_folder
from bot_core.foundation.digest import sha256_hex
from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.frozen import frozen, replace
from bot_core.foundation.safe_file import read_given, read_inside_or_none
from rollbackctl.core.errors import InvalidInputError, RollbackError, UsageError
from rollbackctl.engine.registry import Registry, load_registry
from rollbackctl.spec.document import Policy, Spec
from rollbackctl.spec.load import load_policy, load_spec

if TYPE_CHECKING:
    from bot_core.ai.drift.cluster import Cluster
    from bot_core.ai.drift.scan import Pool

POLICY_FILE = "config/rollbackctl.yaml"
MARK = Path("audit", "ai_decision")


@frozen
class Actor:
    """Who calls the tool, and from where."""

    user: str
    uid: int
    host: str
    pid: int

    def to_json(self) -> dict[str, str | int]:
        """Return the fields as JSON."""
        return {"user": self.user, "uid": self.uid, "host": self.host, "pid": self.pid}


def this_actor() -> Actor:
    """Return the account, host and process that run this; the account is the system's word, not the environment's."""
    return Actor(account_name(os.getuid()), os.getuid(), socket.gethostname(), os.getpid())


def account_name(uid: int) -> str:
    """Return the name of an account; `uid 1234` where the system has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


@frozen
class Workspace:
    """A workspace folder with the clock, the person and the machines that work on it.

    Attributes:
        cluster: Counts the rows of windows; None: this machine does.
    """

    root: Path
    clock: Callable[[], datetime]
    actor: Actor
    given_policy: Policy | None = None
    cluster: "Cluster | None" = None

    def leniently(self) -> "tuple[Workspace, str]":
        """Return a workspace that can be held whatever its policy says, and what is wrong with the policy, or ""."""
        try:
            _ = self.registry
        except (RollbackError, BotCoreError) as error:
            details = "; ".join(map(str, getattr(error, "problems", ()))) or str(error)
            return replace(self, given_policy=Policy()), f"the policy is not used: {details}"
        return self, ""

    @cached_property
    def policy_bytes(self) -> bytes | None:
        """The policy file's bytes; None when there is no file and the defaults hold."""
        return read_inside_or_none(self.root, POLICY_FILE)

    @cached_property
    def policy(self) -> Policy:
        """The firm's policy.

        Raises:
            InvalidInputError: The file is not a policy.
        """
        if self.given_policy is not None:
            return self.given_policy
        return Policy() if self.policy_bytes is None else load_policy(self.policy_bytes, POLICY_FILE)

    @property
    def policy_digest(self) -> str:
        """Digest of the policy file's bytes; "none" without a file."""
        return "none" if self.policy_bytes is None else sha256_hex(self.policy_bytes)

    @cached_property
    def cache(self) -> DerivedCache:
        """What this user can compute again; a workspace's own files never hold it."""
        return DerivedCache(user_cache_folder(os.environ))

    @property
    def pool(self) -> "Pool":
        """Who counts the rows of windows."""
        from bot_core.ai.drift.scan import this_machine

        return self.cluster or this_machine()

    @cached_property
    def registry(self) -> Registry:
        """Kinds, gates and checks that the policy allows."""
        return load_registry(self.policy)

    def local(self, text: str) -> str:
        """Say paths as they are in the workspace."""
        return text.replace(f"{self.root}/", "")

    def now(self) -> str:
        """The time as text: ISO 8601, UTC, whole seconds."""
        return self.clock().astimezone(UTC).replace(microsecond=0).isoformat()


def find_workspace(explicit: str | None, environment: Mapping[str, str], start: Path) -> Path:
    """Find the workspace: the one named, else `ROLLBACKCTL_WORKSPACE`, else the nearest folder upward.

    Raises:
        UsageError: There is none.
    """
    named = explicit or environment.get("ROLLBACKCTL_WORKSPACE")
    if named:
        root = Path(named).resolve()
        if not (root / MARK).is_dir():
            raise UsageError(
                f"{named} is not a workspace: it has no folder {MARK}", hint="name it: rollbackctl --workspace DIR …"
            )
        return root
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / MARK).is_dir():
            return folder
    raise UsageError(
        f"no workspace here: neither {start} nor a folder above it has {MARK}",
        hint="go to the workspace, or name it: rollbackctl --workspace DIR …",
    )


def read_spec(path: Path, registry: Registry, shown: str | None = None) -> Spec:
    """Read a rollback plan; its gates, checks and kinds must exist in the registry.

    Args:
        path: The file.
        registry: What exists.
        shown: The name for messages; as the user typed it.

    Raises:
        InvalidInputError: It cannot be read, or has problems; all are named with line and column.
    """
    name = shown or str(path)
    try:
        data = read_given(path)
    except OSError as error:
        raise InvalidInputError(
            f"{name} cannot be read: {error.strerror}",
            hint="name a rollback plan, or write one: rollbackctl init",
        ) from error
    return load_spec(
        data, name, kinds=registry.kinds.keys(), gates=registry.gate_sections, checks=registry.check_sections
    )
