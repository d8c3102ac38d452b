"""The settings of a host: one policy for each of its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from attrs import validators

from persistence import CommitPolicy, ReadPolicy

from ..execution import OffloadPolicy
from ..fairness import DispatchPolicy
from ..loop import WatchdogPolicy
from ..messaging import MailPolicy
from ..monitoring import HealthPolicy
from ..telemetry import TelemetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HostPolicy"]


@attrs.frozen(kw_only=True)
class HostPolicy:
    """The settings of one host; ``Host`` reads them once, when it is built.

    Attributes:
        dispatch: how the turns of all partitions share the seats.
        commits: bounds of the writer.
        reads: bounds of the reader.
        offload: how many handlers run outside the event loop.
        telemetry: the destinations of spans and metrics.
        mail: durable messages, timers, and remembered replies.
        serves: returns whether this host may claim a partition; ``None``: all. Hosts
            that share a store need it, or each claims the partitions that the others
            serve.
        health: the limits beyond which a partition counts as affected.
        watchdog: the response to handlers that block the event loop.
        shutdown_timeout: seconds, over 0, that an orderly shutdown may take before it
            cancels the turns that still run.
        shutdown_grace: seconds, from 0, that cancelled turns get to end.
    """

    dispatch: DispatchPolicy = attrs.field(factory=DispatchPolicy)
    commits: CommitPolicy = attrs.field(factory=CommitPolicy)
    reads: ReadPolicy = attrs.field(factory=ReadPolicy)
    offload: OffloadPolicy = attrs.field(factory=OffloadPolicy)
    telemetry: TelemetryPolicy = attrs.field(factory=TelemetryPolicy)
    mail: MailPolicy = attrs.field(factory=MailPolicy)
    serves: Callable[[str], bool] | None = None
    health: HealthPolicy = attrs.field(factory=HealthPolicy)
    watchdog: WatchdogPolicy = attrs.field(factory=WatchdogPolicy)
    shutdown_timeout: float = attrs.field(default=10.0, validator=validators.gt(0))
    shutdown_grace: float = attrs.field(default=1.0, validator=validators.ge(0))
