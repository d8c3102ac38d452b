"""Tasks with an owner: a set for those of podvisor, a pool for users' coroutines.

User code does not run in a task group: one task that swallows its cancellation would
hold the group, and all of its tasks, without end. A pool can cancel, wait until a
deadline, and name what is left.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine

from ..telemetry import NO_PARTITION, STAMP, partition_extra

__all__ = ["BackgroundTasks", "WorkerPool"]

log = logging.getLogger("podvisor.workers")

Job = Callable[[], Coroutine[object, object, None]]


class BackgroundTasks:
    """Owns the tasks of podvisor itself: each in a fresh context, ended together."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def __repr__(self) -> str:
        return f"<BackgroundTasks tasks={len(self._tasks)}>"

    def start(self, job: Job, name: str, partition: str) -> None:
        """Run a coroutine for one partition in a task of its own.

        Args:
            job: builds the coroutine.
            name: name of the task, for reports.
            partition: stamped on its log records.
        """
        _ = self.hold(job, name, partition)

    def hold(
        self, job: Job, name: str, partition: str | None = None
    ) -> asyncio.Task[None]:
        """Run a coroutine in a task of its own, and return the task.

        Args:
            job: builds the coroutine.
            name: name of the task, for reports.
            partition: stamped on its log records; ``None`` for work of the host.
        """
        context = contextvars.Context()
        if partition is not None:
            context.run(STAMP.set, partition)
        task = asyncio.get_running_loop().create_task(
            _guarded(job, name), name=name, context=context
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def end(self, grace: float) -> list[str]:
        """Cancel all, wait ``grace`` seconds, return the names of tasks that go on."""
        return await _end_tasks(self._tasks, grace)


async def _guarded(job: Job, name: str) -> None:
    try:
        await job()
    except asyncio.CancelledError as error:  # noqa: ASYNC103  a stray one is a failure
        if _really_cancelled():
            raise
        _report(name, error)
    except Exception as error:  # noqa: BLE001  a guard: the failure ends here
        _report(name, error)


def _report(name: str, error: BaseException) -> None:
    extra = partition_extra(STAMP.get(NO_PARTITION), task=name)
    log.error("task.failed", exc_info=error, extra=extra)


async def _end_tasks(tasks: set[asyncio.Task[None]], grace: float) -> list[str]:
    left = {task for task in tasks if task is not asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        _, left = await asyncio.wait(left, timeout=grace)
    return sorted(task.get_name() for task in left)


def _really_cancelled() -> bool:
    """Return whether this task is cancelled, or a ``CancelledError`` is a stray one."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class _Worker:
    __slots__ = ("job", "task", "wake")

    def __init__(self, job: Job) -> None:
        self.job: Job | None = job
        self.wake: asyncio.Future[None] | None = None
        self.task: asyncio.Task[None] | None = None


class WorkerPool:
    """A pool of tasks that run turns and hooks of agents.

    A worker whose context has changed, or that was cancelled, ends and is not used
    again: no state of one tenant's call reaches the call of another.
    """

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._baseline = contextvars.Context()

    def __len__(self) -> int:
        return len(self._tasks)

    def __repr__(self) -> str:
        return f"<WorkerPool tasks={len(self._tasks)} idle={len(self._idle)}>"

    def start(self, job: Job) -> None:
        """Run a coroutine in an idle worker, or in a new one; never blocks."""
        _ = self.run(job)

    def run(self, job: Job) -> asyncio.Task[None]:
        """Run a coroutine in an idle worker, or in a new one, and return its task."""
        while self._idle:
            worker = self._idle.pop()
            if worker.wake is not None and not worker.wake.done():
                worker.job = job
                worker.wake.set_result(None)
                return _task_of(worker)
        worker = _Worker(job)
        worker.task = asyncio.get_running_loop().create_task(
            self._serve(worker), name="podvisor-worker", context=contextvars.Context()
        )
        self._tasks.add(worker.task)
        worker.task.add_done_callback(self._tasks.discard)
        return worker.task

    async def end(self, grace: float) -> int:
        """Cancel all, wait ``grace`` seconds, return how many workers go on."""
        return len(await _end_tasks(self._tasks, grace))

    async def _serve(self, worker: _Worker) -> None:
        loop = asyncio.get_running_loop()
        while worker.job is not None:
            job, worker.job = worker.job, None
            # A turn stamps its partition. The stamp stays until a failure is logged.
            clean = STAMP.set(NO_PARTITION)
            try:
                await job()
            except asyncio.CancelledError as error:  # noqa: ASYNC103  as above
                if _task_of(worker).cancelling():
                    raise
                _report("worker", error)
            except Exception as error:  # noqa: BLE001  as above
                _report("worker", error)
            STAMP.reset(clean)
            if (
                _task_of(worker).cancelling()
                or contextvars.copy_context() != self._baseline
            ):
                return
            worker.wake = loop.create_future()
            self._idle.append(worker)
            await worker.wake


def _task_of(worker: _Worker) -> asyncio.Task[None]:
    if worker.task is None:
        msg = "a worker without a task was idle"
        raise RuntimeError(msg)
    return worker.task
