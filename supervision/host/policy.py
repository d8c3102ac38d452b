"""The settings of a host, each part with its own policy."""

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
    """How one host treats what it shares.

    Attributes:
        dispatch: how the turns of all partitions share the host.
        commits: bounds of the writer.
        reads: bounds of the reader.
        offload: how many handlers run outside the event loop.
        telemetry: where spans and metrics go.
        mail: durable messages, timers, and replies that are remembered.
        serves: says for a partition whether this host may take it; ``None``: all. Hosts
            that share a store need it, or each takes over what the others serve.
        health: from when on a partition counts as affected.
        watchdog: what is done about handlers that block the event loop.
        shutdown_timeout: seconds that an orderly shutdown may take before it cancels
            what still runs.
        shutdown_grace: seconds that cancelled turns get after that.
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
