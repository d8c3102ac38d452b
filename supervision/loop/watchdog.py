"""The watchdog: a thread that logs a handler while it blocks the event loop.

Nothing on the loop can log while a handler blocks it, so another thread does. It reads
the step that holds the loop and the Python stack at that moment. It changes nothing:
the response to a block is decided on the loop, when the block is over.
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
    """When a handler counts as blocking the loop, and the response to it.

    Attributes:
        enabled: whether the thread runs; blocks are counted without it, too.
        warn_after: least seconds, over 0, of a step that blocks the loop.
        frames: innermost frames of the stack that are logged, from 1.
        blocking: the response where neither the policy of the tenant nor that of the
            manager has one.
    """

    enabled: bool = True
    warn_after: float = attrs.field(default=0.05, validator=validators.gt(0))
    frames: int = attrs.field(default=12, validator=validators.ge(1))
    blocking: BlockingPolicy = attrs.field(factory=BlockingPolicy)


class Watch:
    """Decides when a step is logged: at the limit, then at growing intervals.

    It holds the state of one step, for ``Watchdog``. After each log the next is due at
    twice the time held, and not before 1 s.

    Args:
        limit: least seconds of a step that blocks the loop.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._since: float = 0.0
        self._due: float = limit

    def __repr__(self) -> str:
        return f"<Watch due={self._due:g}>"

    def look(self, since: float, now: float) -> float | None:
        """Return the seconds that a step has held the loop, if a log of it is due.

        Args:
            since: monotonic seconds at which the step began.
            now: the present time on the same scale.

        Returns:
            ``None``: no log is due now.
        """
        if since != self._since:
            self._since, self._due = since, self._limit
        held = now - since
        if held < self._due:
            return None
        self._due = max(1.0, 2 * held)
        return held


class Watchdog(Generic[M]):
    """Owns the thread that watches the loop of one host.

    The thread ends with the host or the process, and no caller waits for its end. The
    host starts and stops it.

    Args:
        meter: the meter of the host, held weakly; without it the thread ends.
        policy: when to log, and how much.
        now: returns monotonic seconds, on the scale of the meter.
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
        """Start to watch the thread of the caller, which runs the loop."""
        self._loop_thread = threading.get_ident()
        if self._policy.enabled:
            self.thread = threading.Thread(
                target=self._run, name="podvisor-watchdog", daemon=True
            )
            self.thread.start()

    def stop(self) -> None:
        """Ask the thread to end, which takes at most half of ``warn_after``."""
        self._ended.set()

    def look(self) -> bool:
        """Check once and log a blocking handler; return whether the meter exists."""
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
        if latest is not None and latest[2] == running[2]:  # else it just ended
            _log_block(latest, held, stack)
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


def _log_block(running: Running[M], held: float, stack: str) -> None:
    instance, handler, _ = running
    with contextlib.suppress(Exception):  # an application's log handler may raise
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
