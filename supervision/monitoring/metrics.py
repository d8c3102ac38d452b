"""The metrics of a host: its plain integers, read when an exporter asks for them.

Counting costs the hot path one integer; the rest is done in the thread of the exporter.
That thread reads the maps of the host while the loop changes them, so each map is
copied in one step before it is iterated.
"""

from __future__ import annotations

import functools
import weakref
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from opentelemetry.metrics import CallbackOptions, Observation, get_meter_provider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ..loop import LoopTime
    from .view import HostView

__all__ = ["COUNTERS", "OTHER", "Metrics"]

OTHER = "_other"
"""Name of the sum over partitions without points of their own; no valid id."""

COUNTERS: Mapping[str, tuple[str, str]] = {
    "asks": ("{message}", "Requests accepted."),
    "tells": ("{message}", "One-way messages accepted."),
    "handled": ("{message}", "Messages whose handler returned."),
    "failed": ("{message}", "Messages whose handler raised, crashes included."),
    "rejected": ("{message}", "Messages refused by a full mailbox."),
    "crashes": ("{crash}", "Ends of an instance by an exception."),
    "quarantines": ("{instance}", "Instances put in quarantine."),
    "starts": ("{activation}", "Activations without a stored state."),
    "thaws": ("{activation}", "Activations from a stored state."),
    "hibernations": ("{instance}", "Instances that left memory, saved."),
    "saves": ("{commit}", "Commits of state."),
    "save_failures": ("{commit}", "Commits of state that the store refused."),
    "dead_letters": ("{message}", "Durable messages that could not be handled."),
    "blocks": ("{block}", "Times that a handler blocked the event loop."),
}
"""Unit and description of the instrument for each field of ``Counters``."""

T = TypeVar("T")

Measure: TypeAlias = "Callable[[HostView[T]], Mapping[str, float]]"
"""Returns one number for each partition."""

Step: TypeAlias = tuple[str, str, str]
"""Partition, manager and handler of a step."""

_NO_TIME: Mapping[tuple[str, str], LoopTime] = {}


class Metrics(Generic[T]):
    """The instruments of one host.

    At most ``TelemetryPolicy.top`` partitions get points of their own, and the first
    keep theirs: if the set followed the traffic, a counter would seem to fall. The
    rest are summed, so totals stay true below the cardinality limit of an SDK. The host
    registers them when it starts.

    An SDK keeps its callbacks for its whole life, so they hold the view only weakly.
    """

    def __init__(self, view: HostView[T]) -> None:
        self._view = weakref.ref(view)
        self._policy = view.telemetry.policy
        self._scope = view.telemetry.scope
        self._named: set[str] = set()
        self._named_steps: set[Step] = set()

    def __repr__(self) -> str:
        return f"<Metrics named={len(self._named)}/{self._policy.top}>"

    def register(self) -> None:
        """Create the instruments on the policy's meter provider or the global one."""
        provider = self._policy.meter_provider or get_meter_provider()
        meter = provider.get_meter("podvisor", attributes=self._scope)
        for field, (unit, description) in COUNTERS.items():
            read = functools.partial(_counted, field)
            observe = functools.partial(self._observe, read)
            meter.create_observable_counter(
                f"podvisor.{field}", [observe], unit, description
            )
        meter.create_observable_up_down_counter(
            "podvisor.instances.live",
            [functools.partial(self._observe, _live)],
            "{instance}",
            "Instances in memory, in any phase.",
        )
        meter.create_observable_up_down_counter(
            "podvisor.mailbox.messages",
            [functools.partial(self._observe, _queued)],
            "{message}",
            "Messages that wait in mailboxes.",
        )

        meter.create_observable_counter(
            "podvisor.loop.time",
            [functools.partial(self._observe, _loop_time)],
            "s",
            "Time for which handlers held the event loop.",
        )
        meter.create_observable_counter(
            "podvisor.handler.loop.time",
            [self._observe_handlers],
            "s",
            "The same by manager and handler.",
        )

    def _observe_handlers(self, _: CallbackOptions) -> Iterable[Observation]:
        """Return points for the first handlers, and sums by handler for the rest."""
        view = self._view()
        if view is None or not view.is_open():
            return ()
        sums: dict[Step, float] = {}
        for partition in list(view.partitions.values()):
            for (manager, handler), time in list((partition.loop or _NO_TIME).items()):
                step = (partition.name, manager, handler)
                if step not in self._named_steps:
                    if len(self._named_steps) < self._policy.top:
                        self._named_steps.add(step)
                    else:
                        step = (OTHER, manager, handler)
                sums[step] = sums.get(step, 0.0) + time.seconds
        return [
            Observation(
                seconds,
                {
                    **self._policy.attributes(partition),
                    "podvisor.manager": manager,
                    "podvisor.handler": handler,
                },
            )
            for (partition, manager, handler), seconds in sums.items()
        ]

    def _observe(
        self, measure: Measure[T], _: CallbackOptions
    ) -> Iterable[Observation]:
        view = self._view()
        if view is None or not view.is_open():
            return ()
        return self._points(measure(view))

    def _points(self, numbers: Mapping[str, float]) -> list[Observation]:
        points: list[Observation] = []
        rest: list[float] = []
        for partition, number in numbers.items():
            if self._has_points(partition):
                attributes = self._policy.attributes(partition)
                points.append(Observation(number, attributes))
            else:
                rest.append(number)
        if rest:
            points.append(Observation(sum(rest), self._policy.attributes(OTHER)))
        return points

    def _has_points(self, partition: str) -> bool:
        if partition not in self._named and len(self._named) < self._policy.top:
            self._named.add(partition)
        return partition in self._named


def _counted(field: str, view: HostView[T]) -> Mapping[str, int]:
    partitions = list(view.partitions.values())
    return {p.name: getattr(p.counters, field) for p in partitions}


def _loop_time(view: HostView[T]) -> Mapping[str, float]:
    return {p.name: p.loop_seconds() for p in list(view.partitions.values())}


def _live(view: HostView[T]) -> Mapping[str, int]:
    return {**dict.fromkeys(list(view.partitions), 0), **view.live()}


def _queued(view: HostView[T]) -> Mapping[str, int]:
    return {**dict.fromkeys(list(view.partitions), 0), **view.mailboxes()}
