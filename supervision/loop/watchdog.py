"""A thread that names a handler while it blocks the event loop.

Nothing on the loop can speak while a handler blocks it, so this looks on from outside:
it reads who holds the loop, and the Python stack at that moment. It changes nothing;
what follows a block is decided on the loop, when the block is over.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import traceback
import weakref
from typing import TYPE_CHECKING, Generic, TypeVar

import attrs
from attrs import validators

from ..telemetry import partition_extra
from .blocking import BlockingPolicy

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from .loop_time import Meter, Metered, Running

__all__ = ["Watch", "Watchdog", "WatchdogPolicy"]

M = TypeVar("M", bound="Metered")

log = logging.getLogger("podvisor.watchdog")


@attrs.frozen(kw_only=True)
class WatchdogPolicy:
    """When a handler counts as blocking the loop, and what is done about it.

    Attributes:
        enabled: whether a thread looks on; blocks are counted without it, too.
        warn_after: seconds of one step from which on it blocks.
        frames: innermost frames of the stack that are logged.
        blocking: what follows, where neither the tenant's policy nor the manager's says
            otherwise.
    """

    enabled: bool = True
    warn_after: float = attrs.field(default=0.05, validator=validators.gt(0))
    frames: int = attrs.field(default=12, validator=validators.ge(1))
    blocking: BlockingPolicy = attrs.field(factory=BlockingPolicy)


class Watch:
    """Decides when a step is to be named: at the limit, then ever more rarely.

    Args:
        limit: seconds from which on a step blocks the loop.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._since: float = 0.0
        self._due: float = limit

    def __repr__(self) -> str:
        return f"<Watch due={self._due:g}>"

    def look(self, since: float, now: float) -> float | None:
        """Say how long the loop is blocked, if that is to be told now.

        Args:
            since: monotonic seconds at which the step began.
            now: the present on the same scale.
        """
        if since != self._since:
            self._since, self._due = since, self._limit
        held = now - since
        if held < self._due:
            return None
        self._due = max(1.0, 2 * held)
        return held


class Watchdog(Generic[M]):
    """The thread. It ends with the host, or with the process; nothing waits for it.

    Args:
        meter: of the host; once it is gone, the thread ends.
        policy: when to speak.
        now: monotonic seconds, on the scale of the meter.
    """

    def __init__(
        self, meter: Meter[M], policy: WatchdogPolicy, now: Callable[[], float]
    ) -> None:
        self._meter = weakref.ref(meter)
        self._policy = policy
        self._now = now
        self._watch = Watch(policy.warn_after)
        self._ended = threading.Event()
        self._loop_thread = 0
        self.thread: threading.Thread | None = None

    def __repr__(self) -> str:
        alive = self.thread is not None and self.thread.is_alive()
        return f"<Watchdog {'on' if alive else 'off'}>"

    def start(self) -> None:
        """Watch the thread that calls this."""
        self._loop_thread = threading.get_ident()
        if self._policy.enabled:
            self.thread = threading.Thread(
                target=self._run, name="podvisor-watchdog", daemon=True
            )
            self.thread.start()

    def stop(self) -> None:
        """Let the thread end; it needs at most half of ``warn_after`` for that."""
        self._ended.set()

    def look(self) -> bool:
        """Look once and name who blocks; say whether there is still a host to watch."""
        meter = self._meter()
        if meter is None:
            return False
        running = meter.running
        if running is None:
            return True
        held = self._watch.look(running[2], self._now())
        if held is None:
            return True
        stack = self._stack()
        latest = meter.running
        if latest is not None and latest[2] == running[2]:  # else it has just ended
            _name(latest, held, stack)
        return True

    def _run(self) -> None:
        while not self._ended.wait(self._policy.warn_after / 2):
            if not self.look():
                return

    def _stack(self) -> str:
        frame: FrameType | None = sys._current_frames().get(self._loop_thread)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  the documented way to another thread's stack
        if frame is None:
            return ""
        innermost = traceback.extract_stack(frame)[-self._policy.frames :]
        return "".join(traceback.format_list(innermost))


def _name(running: Running[M], held: float, stack: str) -> None:
    instance, handler, _ = running
    with contextlib.suppress(Exception):  # the application's log handler
        log.warning(
            "loop.blocked",
            extra=partition_extra(
                instance.address.partition,
                manager=instance.manager.name,
                agent=instance.agent_name,
                key=str(instance.address.key),
                handler=handler,
                seconds=round(held, 3),
                stack=stack,
            ),
        )
