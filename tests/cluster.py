"""A cluster for tests: a scheduler and workers on this machine, each a process of its own that ends by itself."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

from bot_core.ai.drift.cluster import Cluster
from bot_core.ai.drift.scan import count_task

ROOT = Path(__file__).parents[1]
LIFE_S = 120


@dataclass
class Members:
    """A running cluster: where its scheduler listens, and the numbers of its processes."""

    url: str
    scheduler: int
    workers: list[int]

    def kill(self) -> None:
        for number in (self.scheduler, *self.workers):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)


@contextmanager
def running(folder: Path, workers: int, environment: Mapping[str, str] | None = None) -> Iterator[Members]:
    """A cluster of so many workers of one thread, over TLS where Dask's variables name certificates."""
    command = [sys.executable, "-m", "tests.cluster", str(workers)]
    variables = {**os.environ, **(environment or {}), "DASK_TEMPORARY_DIRECTORY": str(folder)}
    with (
        (folder / "cluster.log").open("wb") as log,
        subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (folder / "cluster.log").read_text()
        members = Members(**json.loads(line))
        try:
            yield members
        finally:
            members.kill()


class OneDies:
    """A cluster of which one worker dies while it has parts of the window to count."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self.lost: list[str] = []

    def map(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Any]:
        if getattr(function, "func", None) is not count_task:
            return map(function, tasks)
        return self._counted(function, tasks)

    def _counted(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Any]:
        victim = self._members.workers[0]
        from distributed import Client

        with Client(self._members.url, set_as_default=False) as client:
            [address] = [address for address, number in client.run(os.getpid).items() if number == victim]
            os.kill(victim, signal.SIGSTOP)  # what it is given stays with it
            killer = Thread(target=self._kill_at_work, args=(client, address, victim))
            killer.start()
            yield from Cluster(self._members.url).map(function, tasks)
            killer.join()

    def _kill_at_work(self, client: Any, address: str, victim: int) -> None:
        while not self.lost:
            self.lost = [str(key) for key in client.processing().get(address, ())]
        os.kill(victim, signal.SIGKILL)


def main(workers: int) -> None:
    """Be the scheduler, and the parent of the workers: what takes long is imported once for all of them."""
    import distributed  # noqa: F401

    signal.alarm(LIFE_S)
    pipes, numbers = [], []
    for _ in range(workers):
        reader, writer = os.pipe()
        number = os.fork()
        if not number:
            os.close(writer)
            signal.alarm(LIFE_S)
            asyncio.run(_work(os.read(reader, 200).decode()))
            os._exit(0)
        os.close(reader)
        pipes.append(writer)
        numbers.append(number)
    asyncio.run(_schedule(pipes, numbers))


async def _schedule(pipes: list[int], numbers: list[int]) -> None:
    from distributed import Scheduler, Security

    security = Security()
    async with Scheduler(
        protocol="tls" if security.tls_ca_file else "tcp",
        host="127.0.0.1",
        port=0,
        security=security,
        dashboard=False,
        dashboard_address="127.0.0.1:0",
    ) as scheduler:
        for pipe in pipes:
            os.write(pipe, scheduler.address.encode())
            os.close(pipe)
        while len(scheduler.workers) < len(numbers):
            await asyncio.sleep(0.01)
        print(json.dumps({"url": scheduler.address, "scheduler": os.getpid(), "workers": numbers}), flush=True)
        await scheduler.finished()


async def _work(address: str) -> None:
    from distributed import Security, Worker

    async with Worker(
        address, nthreads=1, host="127.0.0.1", security=Security(), dashboard=False, dashboard_address="127.0.0.1:0"
    ) as worker:
        await worker.finished()


if __name__ == "__main__":
    main(int(sys.argv[1]))
