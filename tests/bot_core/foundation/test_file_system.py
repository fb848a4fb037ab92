from pathlib import Path

import pytest

from bot_core.foundation.file_system import network_file_system

TABLE = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:35 / /mnt/model\\040store rw,relatime shared:20 - nfs4 server:/models rw,vers=4.2
41 40 8:2 / /mnt/model\\040store/local rw,relatime - xfs /dev/sdb1 rw
42 22 0:50 / /mnt/home rw - fuse.sshfs server: rw
"""


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/var/models", None),
        ("/mnt/model store", "nfs4"),
        ("/mnt/model store/ws", "nfs4"),
        ("/mnt/model store/local/ws", None),
        ("/mnt/model storehouse", None),
        ("/mnt/home/ws", "fuse.sshfs"),
    ],
)
def test_a_network_file_system_is_told_by_the_nearest_mount(tmp_path: Path, path: str, found: str | None) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(TABLE, encoding="utf-8")

    assert network_file_system(Path(path), mounts=mounts) == found


def test_without_a_mount_table_a_path_counts_as_local(tmp_path: Path) -> None:
    assert network_file_system(tmp_path, mounts=tmp_path / "none") is None


def test_this_machine_tells() -> None:
    assert network_file_system(Path("/proc")) is None
