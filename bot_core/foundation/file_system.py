"""Which file system a path lies on, and whether locks and syncs hold there."""

import os
import re
from contextlib import suppress
from pathlib import Path

_NETWORK = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "gfs2", "glusterfs", "lustre"}
    | {"ncpfs", "nfs", "nfs4", "ocfs2", "smb2", "smb3", "smbfs"}
)
_MOUNTS = Path("/proc/self/mountinfo")


def network_file_system(path: Path, *, mounts: Path = _MOUNTS) -> str | None:
    """Return the type of the network file system that a path lies on; None when it is a local one.

    On such a file system `flock` and `fsync` may promise what the server does not keep. Writes nothing. Where the
    system does not tell (no `/proc`), the path counts as local.

    Args:
        path: An existing path.
        mounts: The mount table, as in proc(5).
    """
    real = os.path.realpath(path)
    best, found = "", ""
    with suppress(OSError):
        for line in mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            left, _, right = line.partition(" - ")
            fields = left.split()
            if len(fields) > 4 and right:
                point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
                # Of two mounts on one point the later one is seen.
                if _is_below(real, point) and len(point) >= len(best):
                    best, found = point, right.split()[0]
    return found if found in _NETWORK else None


def _is_below(path: str, point: str) -> bool:
    return path == point or path.startswith(point.rstrip("/") + "/")
