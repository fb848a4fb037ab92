"""OpenStack Swift on this machine, with its S3 API: four servers that end by themselves."""

import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.harness import until

LIFE_S = 180
USER, SECRET = "test:tester", "b9f3c1e0-the-secret"
KINDS = ("account", "container", "object")
RINGS = """
import sys
from swift.common.ring import RingBuilder
folder, *places = sys.argv[1:]
for kind, port in (place.split("=") for place in places):
    builder = RingBuilder(4, 1, 0)
    builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port), "device": "disk", "weight": 1.0})
    builder.rebalance()
    builder.get_ring().save(f"{folder}/{kind}.ring.gz")
"""
SWIFT = """
[swift-hash]
swift_hash_path_prefix = a
swift_hash_path_suffix = b
[storage-policy:0]
name = one
default = yes
"""
SERVER = """
[DEFAULT]
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
[pipeline:main]
pipeline = {pipeline}
[app:{kind}-server]
use = egg:swift#{kind}
"""
PROXY = f"""
account_autocreate = true
[filter:cache]
use = egg:swift#memcache
[filter:s3api]
use = egg:swift#s3api
[filter:tempauth]
use = egg:swift#tempauth
user_{USER.replace(":", "_")} = {SECRET} .admin
[filter:slo]
use = egg:swift#slo
"""


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """The URL at which S3 is spoken while the servers run."""
    ports = {kind: _free_port() for kind in (*KINDS, "proxy")}
    (folder / "devices/disk").mkdir(parents=True)
    (folder / "swift.conf").write_text(SWIFT)
    places = [f"{kind}={ports[kind]}" for kind in KINDS]
    subprocess.run([sys.executable, "-c", RINGS, str(folder), *places], check=True)
    with ExitStack() as stack:
        for kind, port in ports.items():
            pipeline = f"{'cache s3api tempauth slo ' if kind == 'proxy' else ''}{kind}-server"
            user = pwd.getpwuid(os.getuid()).pw_name
            text = SERVER.format(folder=folder, port=port, user=user, pipeline=pipeline, kind=kind)
            config = folder / f"{kind}.conf"
            config.write_text(text + (PROXY if kind == "proxy" else ""))
            log = stack.enter_context((folder / f"{kind}.log").open("wb"))
            process = subprocess.Popen(
                [Path(sys.executable).with_name(f"swift-{kind}-server"), config],
                stdout=log,
                stderr=log,
                preexec_fn=lambda: signal.alarm(LIFE_S),
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
        for port in ports.values():
            until(lambda port=port: _answers(port))
        yield f"http://127.0.0.1:{ports['proxy']}"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
