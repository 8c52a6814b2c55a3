"""Several processes as one job: how they find each other, agree, and stop together.

JAX watches over the processes by heartbeats, and where one is lost it ends the others by abort(), from a
thread of its own and out of Python's reach. So what this means is said by a handler of SIGABRT in C's sense.
"""

import ctypes
import hashlib
import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, NoReturn

import jax
import numpy as np
from jax._src import distributed  # for the coordinator's address where it was detected
from jax.experimental import multihost_utils

from fiat_jax.errors import ConfigError, DataError, FiatError, InterruptedRun, LostProcess, UnreachableHosts

ADDRESS, COUNT, ID = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
"""Environment variables that describe a job where JAX does not detect it."""

_GRACE = 3.0  # seconds that process 0, with which all end, leaves the others to say what they failed of
_LOSS = re.compile(r"\bGloo\b|UNAVAILABLE|coordination service|stopped sending heartbeats", re.IGNORECASE)
_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_int)
_handlers: list[object] = []  # they must live as long as the process
_came: list[int] = []  # signals, within `terminations`
_log = logging.getLogger(__name__)


class Job(NamedTuple):
    """What is known of a job before its processes have met; None is for JAX to detect.

    Attributes:
      address: host:port of process 0.
      size: processes in all.
      id: of this process, from 0.
    """

    address: str | None
    size: int | None
    id: int | None

    @property
    def complete(self) -> bool:
        """Whether nothing is left to detect."""
        return None not in self


def job_of(environment: Mapping[str, str]) -> Job:
    """The job that environment variables describe.

    Raises:
      ConfigError: they are not what they should be.
    """

    def number(name: str) -> int | None:
        text = environment.get(name, "")
        if text and not re.fullmatch(r"\d+", text):
            raise ConfigError(f"{name}: expected a number, found {text!r}.")
        return int(text) if text else None

    address, size, id = environment.get(ADDRESS) or None, number(COUNT), number(ID)
    if address and not re.fullmatch(r".+:\d+", address):
        raise ConfigError(f"{ADDRESS}: expected host:port of process 0, found {address!r}.")
    if size is not None and (id or 0) >= size:
        raise ConfigError(
            f"{ID}: expected a number below the {size} processes of {COUNT}, found {id or 0}; they are "
            "counted from 0."
        )
    return Job(address, size, id)


@contextmanager
def joined(command: str, startup: int, heartbeat: int, preemptible: bool) -> Iterator[None]:
    """Within it, this process is one of a job; nothing may have touched a device before.

    Args:
      command: what starts a message of the abort handler.
      startup: seconds within which all processes must come.
      heartbeat: seconds without a sign of life after which a process counts as lost.
      preemptible: whether `terminations` is asked at every step; else SIGTERM ends the process as usual.

    Raises:
      ConfigError: there is no job, or what describes it is inconsistent.
      UnreachableHosts: not all processes came in time.
      LostProcess: another one died or failed meanwhile.
    """
    _join(command, job_of(os.environ), startup, heartbeat, preemptible)
    try:
        yield
    except InterruptedRun:
        if preemptible:  # all have stopped at the same step
            _part()
        raise
    except Exception as error:
        if not isinstance(error, FiatError) and _tells_of_a_loss(error):
            raise LostProcess(_lost_words()) from error
        raise
    _part()


def leave(code: int) -> None:
    """Ends a process that is still in a job, with an exit code: at once, as others cannot be waited for."""
    if not jax.distributed.is_initialized():
        return
    sys.stdout.flush()
    sys.stderr.flush()
    if is_first() and jax.process_count() > 1:
        time.sleep(_GRACE)
    os._exit(code)


def is_first() -> bool:
    """Whether this is the process that writes and prints; so it is where there is only one."""
    return jax.process_index() == 0


def agreed(value: int) -> int:
    """What the first process says, on all of them; all must ask at once."""
    return int(multihost_utils.broadcast_one_to_all(np.int32(value)))


def agreed_text(text: str) -> str:
    """What the first process says, on all of them; all must ask at once."""
    if jax.process_count() == 1:
        return text
    said = np.frombuffer(text.encode(), np.uint8)
    size = agreed(len(said))
    heard = said if is_first() else np.zeros(size, np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(heard)).tobytes().decode()


def check_same(what: str, text: str) -> None:
    """Makes sure that all processes have read the same; all must ask at once.

    Args:
      what: its name in the message.
      text: as this process has read it.

    Raises:
      DataError: they have not.
    """
    if jax.process_count() == 1:
        return
    digest = np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint32)
    every = multihost_utils.process_allgather(digest)
    others = [str(at) for at, one in enumerate(every) if (one != every[0]).any()]
    if others:
        raise DataError(
            f"expected all processes to find the same {what}, but what process {', '.join(others)} found is "
            "not what process 0 found; give all hosts the same files, best on one shared disk."
        )


@contextmanager
def terminations() -> Iterator[Callable[[int], bool]]:
    """Within it, SIGTERM and the platform's notice set a flag, which is asked for at every step.

    In a job the answer is the same on all processes: yes, from a step on that they have agreed on. Only the
    main thread can ask the system for signals: another one hears of those that it has asked for.
    """
    if jax.distributed.is_initialized():
        yield multihost_utils.reached_preemption_sync_point
        return
    if threading.current_thread() is not threading.main_thread():
        yield lambda step: bool(_came)
        return
    before = signal.signal(signal.SIGTERM, _note)
    try:
        yield lambda step: bool(_came)
    finally:
        signal.signal(signal.SIGTERM, before)
        if before is not _note:
            _came.clear()


def _note(number: int, _: Any) -> None:
    _came.append(number)


def _join(command: str, job: Job, startup: int, heartbeat: int, preemptible: bool) -> None:
    jax.config.update("jax_enable_preemption_service", preemptible)
    _on_abort(command, UnreachableHosts(_unreached(job, startup)))
    try:
        jax.distributed.initialize(
            *job,
            initialization_timeout=startup,
            heartbeat_timeout_seconds=heartbeat,
            shutdown_timeout_seconds=heartbeat,
            # Else a scheduler that JAX knows would take all devices but one from a process.
            cluster_detection_method="deactivate" if job.complete else None,
        )
    except Exception as error:
        raise _not_joined(job, error) from error
    _on_abort(command, LostProcess(_lost_words()))
    _log.info(
        "process %d of %d, %d devices here, %d in all, coordinator %s",
        jax.process_index(),
        jax.process_count(),
        jax.local_device_count(),
        jax.device_count(),
        distributed.global_state.coordinator_address,
    )
    if not is_first():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        logging.getLogger("fiat_jax").setLevel(logging.ERROR)


def _part() -> None:
    """Waits until all are done, and leaves the job."""
    multihost_utils.sync_global_devices("done")
    jax.distributed.shutdown()


def _on_abort(command: str, error: FiatError) -> None:
    """Gives abort() a sentence and an exit code."""

    def say(_: int) -> NoReturn:
        os.write(2, f"{command}: {error}\n".encode())
        os._exit(error.exit_code)

    handler = _HANDLER(say)
    ctypes.CDLL(None).signal(signal.SIGABRT, handler)
    _handlers.append(handler)


def _not_joined(job: Job, error: Exception) -> ConfigError:
    absent = [name for name, value in zip((ADDRESS, COUNT, ID), job, strict=True) if value is None]
    found = f"{', '.join(absent)} not set, and no cluster that JAX detects" if absent else "another start"
    return ConfigError(
        "--distributed: expected a cluster that JAX detects (Cloud TPU, GKE, SLURM, Open MPI), or "
        f"{ADDRESS}=host:port, {COUNT} and {ID} on each host, found {found} ({str(error).splitlines()[0]}); "
        "without the flag a command runs on one machine."
    )


def _unreached(job: Job, startup: int) -> str:
    host, _, port = (job.address or "process 0:").rpartition(":")
    which = f"process {job.id}: " if job.id is not None else ""
    return (
        f"{which}expected all {job.size or ''} processes at {job.address or 'the coordinator'} within "
        f"{startup} s, but not all have come; start the same command on every host, with the same {ADDRESS} "
        f"and {COUNT} and each with a {ID} of its own, and let the others reach {host}"
        + (f" on port {port}." if port else ".")
    )


def _lost_words() -> str:
    return (
        f"process {jax.process_index()} of {jax.process_count()}: stopped, as another process of the job has "
        "died or failed, or cannot be reached any more; see what that one says, and start the same command "
        "on every host again: training goes on from its last checkpoint."
    )


def _tells_of_a_loss(error: BaseException | None) -> bool:
    while error is not None:
        if _LOSS.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False
