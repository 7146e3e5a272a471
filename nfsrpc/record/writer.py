"""A process that writes the folders of incidents, so that reading the ring and reporting on it delays no packet.

It is forked before there is any thread, with all rights that this process has then; it gives them up as this process
does. For each job, a line of JSON over a pipe, it forks once more: what reads a capture for a report may crash or hang,
and its memory is given back. The result is a line of JSON again: the manifest, or an error.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from nfsrpc.record.folder import Job, write

LIMIT_S = 120.0  # of one job: the largest capture takes a tenth of it
NICE = 10
READ_BYTES = 1 << 16
STANDARD_ERROR = 2


class Writer:
    """The process as the recorder has it: one job at a time."""

    def __init__(self, work: Callable[[Job], dict[str, Any]] = write, limit_s: float = LIMIT_S) -> None:
        self.is_busy = False
        self._rest = b""
        jobs, self._jobs = os.pipe()
        self._results, results = os.pipe()
        self._process = os.fork()
        if not self._process:
            os.close(self._jobs)
            os.close(self._results)
            serve(jobs, results, work, limit_s)
        os.close(jobs)
        os.close(results)
        os.set_blocking(self._results, False)

    def start(self, job: Job) -> None:
        """Starts a job; none may be going on. Raises OSError if the process is gone."""
        self.is_busy = True
        send(self._jobs, json.dumps(job._asdict()).encode() + b"\n")

    def result(self, timeout: float = 0.0) -> dict[str, Any] | None:
        """The result of the job, waiting for it so long; None while it is not done."""
        end = time.monotonic() + timeout
        while self.is_busy:
            ready, _, _ = select.select([self._results], [], [], max(end - time.monotonic(), 0.0))
            if not ready:
                return None
            piece = os.read(self._results, READ_BYTES)
            self._rest += piece
            if not piece:
                self.is_busy = False
                return {"error": "the process that writes incidents was killed"}
            line, found, rest = self._rest.partition(b"\n")
            if found:
                self.is_busy, self._rest = False, rest
                result: dict[str, Any] = json.loads(line)
                return result
        return None

    def close(self) -> None:
        """Ends the process. A job that is not done goes on by itself, within its time."""
        os.close(self._jobs)
        os.close(self._results)
        if self.is_busy:
            with suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self._process, 0)


def serve(jobs: int, results: int, work: Callable[[Job], dict[str, Any]], limit_s: float) -> NoReturn:
    """Serves jobs until the pipe is closed. Signals for the recorder are not for this process."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        close_others(jobs, results)
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 0)
        os.dup2(nowhere, 1)
        with open(jobs, "rb") as lines:
            for line in lines:
                job = Job(**json.loads(line))
                send(results, json.dumps(in_a_process(job, work, limit_s)).encode() + b"\n")
    finally:
        os._exit(0)


def close_others(*kept: int) -> None:
    """Closes what else was open before the fork: tcpdump's supervisor ends it when the recorder's sockets close."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > STANDARD_ERROR and int(name) not in kept:
            with suppress(OSError):
                os.close(int(name))


def in_a_process(job: Job, work: Callable[[Job], dict[str, Any]], limit_s: float) -> dict[str, Any]:
    """The result of a job, done by a child."""
    output, input_ = os.pipe()
    child = os.fork()
    if not child:
        try:
            with suppress(OSError):  # a service may not
                os.nice(NICE)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(max(round(limit_s), 1))
            try:
                result = work(job)
            except Exception as error:  # noqa: BLE001 - it is told, and the recorder goes on
                result = {"error": f"{type(error).__name__}: {error}"}
            send(input_, json.dumps(result).encode())
        finally:
            os._exit(0)
    os.close(input_)
    with open(output, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if said:
        with suppress(ValueError):
            found: dict[str, Any] = json.loads(said)
            return found
    code = os.waitstatus_to_exitcode(status)
    return {"error": f"took longer than {limit_s:.0f} s" if code == -signal.SIGALRM else f"ended with code {code}"}


def send(pipe: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(pipe, rest) :]
