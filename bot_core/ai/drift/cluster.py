"""Counting on a cluster: the tasks of a scan, sent to the workers of a Dask scheduler.

Client, scheduler and workers send each other pickles, which run whatever they say, so they must know each other: over
TLS with certificates on both sides, or all on this machine. Nothing that a workspace holds is ever unpickled.
"""

import re
import socket
import traceback
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address
from typing import Any, TypeVar

from bot_core.foundation.errors import BotCoreError

T = TypeVar("T")
R = TypeVar("R")

_ADDRESS = re.compile(r"(tls|tcp)://(\[[0-9A-Fa-f:]+\]|[0-9A-Za-z._-]+):([0-9]{1,5})")
_LAST_PORT = 65535
_OTHERWISE = "or name no scheduler, and this machine counts"


class Cluster:
    """The workers of a scheduler; what a worker had that has died is counted by another one."""

    def __init__(self, url: str, patience_s: float = 20.0) -> None:
        """Look at the address; nothing is connected yet.

        Args:
            url: `tls://host:port`; or `tcp://host:port` where the host is this machine.
            patience_s: How long to wait for the scheduler, and for a worker to be there at all.

        Raises:
            BotCoreError: It is no such address.
        """
        self._url = _checked(url)
        self._patience_s = patience_s

    def map(self, function: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        """As `Pool.map`; scheduler and workers must be able to import the function.

        Raises:
            BotCoreError: The cluster cannot be reached, is lost, has no worker, or loses one after the other at a task.
            Exception: Whatever the function raises, as it is.
        """
        if not tasks:
            return
        client = self._connected()
        import dask

        try:
            # Sent to each worker once and held there, so that what it has computed for itself serves all its tasks.
            with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GiB"}):
                held = client.submit(_same, function, pure=False)
            left = set(client.map(_outcome, tasks, [held] * len(tasks), pure=False))
            while left:
                done, left = self._some_done(client, left)
                for future in done:
                    outcome, error = self._told(future)
                    if error is not None:
                        raise error
                    yield outcome
        finally:
            client.close()

    def _connected(self) -> Any:
        try:
            from distributed import Client, Security
        except ImportError as error:
            raise BotCoreError(
                f"a scheduler is named, and distributed is not installed ({error})",
                hint=f"pip install 'rollbackctl[cluster]', {_OTHERWISE}",
            ) from error
        is_tls = self._url.startswith("tls:")
        security = Security(require_encryption=is_tls)
        if is_tls and not (security.tls_ca_file and security.tls_client_cert):
            raise BotCoreError(
                f"{self._url} needs certificates, and Dask's configuration names none",
                hint="set DASK_DISTRIBUTED__COMM__TLS__CA_FILE, …__TLS__CLIENT__CERT and …__TLS__CLIENT__KEY",
            )
        try:
            return Client(self._url, timeout=self._patience_s, security=security, set_as_default=False)
        except OSError as error:
            raise BotCoreError(
                f"{self._url} cannot be reached: {error}",
                hint=f"see whether the scheduler runs, and which certificates it trusts, {_OTHERWISE}",
            ) from error

    def _some_done(self, client: Any, left: set[Any]) -> tuple[set[Any], set[Any]]:
        from distributed import CancelledError, wait

        try:
            while True:
                try:
                    with client.as_current():
                        done, others = wait(left, timeout=self._patience_s, return_when="FIRST_COMPLETED")
                    return done, others
                except TimeoutError:
                    if not client.nthreads():
                        raise BotCoreError(
                            f"{self._url} has no worker", hint=f"start one: dask worker {self._url}, {_OTHERWISE}"
                        ) from None
        except (CancelledError, OSError) as error:
            raise BotCoreError(
                f"{self._url} was lost while it counted",
                hint=f"see whether the scheduler runs, and run the command again, {_OTHERWISE}",
            ) from error

    def _told(self, future: Any) -> Any:
        try:
            return future.result()
        except Exception as error:  # what the function raises is told, so that this is the cluster's own
            raise BotCoreError(
                f"{self._url}: {' '.join(str(error).split())}",
                hint="see the logs of the workers; scheduler and workers need the rollbackctl that is installed here, "
                "and the files of the window under the same path",
            ) from error


def _same(function: T) -> T:
    return function


def _outcome(task: T, function: Callable[[T], R]) -> tuple[R | None, Exception | None]:
    try:
        return function(task), None
    except Exception as error:  # noqa: BLE001 - it is raised where the outcome is read
        error.add_note(traceback.format_exc())  # which is not sent with it
        return None, error


def _checked(url: str) -> str:
    """The address to connect to: as given, and of this machine by number, so that no name is resolved again.

    Raises:
        BotCoreError: It is none.
    """
    match = _ADDRESS.fullmatch(url)
    if match is None or int(match[3]) > _LAST_PORT:
        # Not shown: it may hold a password.
        raise BotCoreError("the scheduler's address is not tls://host:port", hint="name its host and port alone")
    scheme, host, port = match.groups()
    if scheme == "tls":
        return url
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except OSError as error:
        raise BotCoreError(f"{url}: {error}", hint="name a host that is known here") from error
    if not all(ip_address(address[0]).is_loopback for *_, address in found):
        raise BotCoreError(
            f"{url} is not on this machine: what goes there unencrypted can be read and forged",
            hint=f"start the scheduler with certificates and name tls://{host}:{port}",
        )
    numbers = sorted({str(address[0]) for *_, address in found}, key=lambda number: ":" in number)
    return f"tcp://{numbers[0]}:{port}" if ":" not in numbers[0] else f"tcp://[{numbers[0]}]:{port}"
