"""Sets OpenTelemetry up for an application in one call.

podvisor itself uses the API alone and owns no provider. The providers made here belong
to the application: it gives them to its hosts and shuts them down after them.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import threading
from typing import TYPE_CHECKING

from opentelemetry import metrics, trace

from ..errors import MissingExtra
from .attributes import NO_PARTITION, partition_extra
from .spans import TelemetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .sdk import Memory, Providers, ReadableSpan

__all__ = ["Signals", "setup_telemetry"]

log = logging.getLogger("podvisor.telemetry")


class Signals:
    """The providers of an application; ``setup_telemetry`` builds them.

    Attributes:
        tracer_provider: the provider of its spans.
        meter_provider: the provider of its metrics.
    """

    def __init__(self, providers: Providers) -> None:
        self._providers = providers
        self._closed = False

    def __repr__(self) -> str:
        return f"<Signals {'closed' if self._closed else 'open'}>"

    @property
    def tracer_provider(self) -> trace.TracerProvider:
        """The provider of spans."""
        return self._providers.tracer

    @property
    def meter_provider(self) -> metrics.MeterProvider:
        """The provider of metrics."""
        return self._providers.meter

    def policy(self, *, alias: str | None = None, top: int = 1_000) -> TelemetryPolicy:
        """Return the policy that sends the telemetry of a host here.

        ::

            HostPolicy(telemetry=signals.policy(alias="tenant.id"))

        Args:
            alias: a second attribute that carries the partition.
            top: partitions with metric points of their own; from 1, below 2,000.
        """
        return TelemetryPolicy(
            tracer_provider=self.tracer_provider,
            meter_provider=self.meter_provider,
            alias=alias,
            top=top,
        )

    def spans(self, *, partition: str) -> tuple[ReadableSpan, ...]:
        """Return the finished spans of a partition that memory still holds.

        The latest 10,000 of all partitions are kept; the oldest comes first.

        Raises:
            RuntimeError: nothing is kept, as ``memory=True`` was not given.
        """
        return self._memory().spans(partition)

    def numbers(self, *, partition: str) -> dict[str, float]:
        """Return the metrics of a partition by name, as running hosts count them now.

        Raises:
            RuntimeError: nothing is kept, as ``memory=True`` was not given.
        """
        return self._memory().numbers(partition)

    async def flush(self, timeout: float = 5.0) -> bool:  # noqa: ASYNC109  as in shutdown
        """Export what has gathered; call it before a host closes, for its last counts.

        Args:
            timeout: seconds after which the call returns, and the export goes on.

        Returns:
            ``True`` if the exporters were done in time. An exporter that its collector
            has refused is done, too; the SDK logs that.
        """
        millis = round(timeout * 1_000)
        return await _run_in_threads(
            [
                functools.partial(self._providers.tracer.force_flush, millis),
                functools.partial(self._providers.meter.force_flush, millis),
            ],
            timeout,
        )

    async def shutdown(self, timeout: float = 5.0) -> bool:  # noqa: ASYNC109  a thread cannot be cancelled
        """Export what has gathered and stop; call it after the hosts have closed.

        An exporter that hangs stays behind in its thread at the deadline: it holds
        neither the loop nor the end of the process. A second call does nothing.

        Args:
            timeout: seconds after which the call returns, and the export goes on.

        Returns:
            ``True`` if the exporters were done in time. An exporter that its collector
            has refused is done, too; the SDK logs that.
        """
        if self._closed:
            return True
        self._closed = True
        return await _run_in_threads(
            [
                self._providers.tracer.shutdown,
                functools.partial(self._providers.meter.shutdown, timeout * 1_000),
            ],
            timeout,
        )

    def _memory(self) -> Memory:
        if self._providers.memory is None:
            msg = "nothing is kept in memory; call setup_telemetry(..., memory=True)"
            raise RuntimeError(msg)
        return self._providers.memory


def setup_telemetry(
    service_name: str,
    *,
    console: bool = False,
    otlp_endpoint: str | None = None,
    memory: bool = False,
    interval: float = 60.0,
    set_global: bool = False,
) -> Signals:
    """Set the OpenTelemetry SDK up for an application.

    ::

        signals = setup_telemetry("my-app", otlp_endpoint="http://localhost:4318")
        async with Host(policy=HostPolicy(telemetry=signals.policy())) as host:
            ...
        await signals.shutdown()

    Args:
        service_name: the name of the application in backends (``service.name``).
        console: print spans and metrics.
        otlp_endpoint: base URL of a collector that takes OTLP over HTTP; the paths
            ``/v1/traces`` and ``/v1/metrics`` are added. Needs ``podvisor[otlp]``.
        memory: keep both in the process, for ``Signals.spans`` and ``Signals.numbers``.
        interval: seconds between two exports of metrics.
        set_global: make the providers the global ones, too, for other libraries;
            possible once in a process.

    Raises:
        ValueError: no target was given, or ``otlp_endpoint`` is no HTTP URL.
        MissingExtra: OTLP was requested, and its exporter is not installed.
    """
    _check_target(otlp_endpoint, elsewhere=console or memory)
    from . import sdk  # noqa: PLC0415  it takes longer to import than all of podvisor

    try:
        providers = sdk.build(
            service_name,
            console=console,
            otlp_endpoint=otlp_endpoint or None,
            memory=memory,
            interval=interval,
        )
    except ImportError as error:
        raise MissingExtra("otlp", "OTLP export") from error
    if set_global:
        trace.set_tracer_provider(providers.tracer)
        metrics.set_meter_provider(providers.meter)
    return Signals(providers)


def _check_target(otlp_endpoint: str | None, *, elsewhere: bool) -> None:
    if not (elsewhere or otlp_endpoint):
        msg = "give a target: console=True, memory=True or otlp_endpoint=URL"
        raise ValueError(msg)
    if otlp_endpoint and not otlp_endpoint.startswith(("http://", "https://")):
        msg = f"otlp_endpoint={otlp_endpoint!r} is no URL such as http://localhost:4318"
        raise ValueError(msg)


async def _run_in_threads(jobs: Sequence[Callable[[], object]], limit: float) -> bool:
    """Run blocking jobs in threads of their own; wait ``limit`` seconds for them."""
    loop = asyncio.get_running_loop()
    results = [_in_thread(job, loop) for job in jobs]
    _, left = await asyncio.wait(results, timeout=limit)
    return not left and all(result.result() for result in results)


def _in_thread(
    job: Callable[[], object], loop: asyncio.AbstractEventLoop
) -> asyncio.Future[bool]:
    result: asyncio.Future[bool] = loop.create_future()

    def settle(ok: bool) -> None:
        if not result.done():
            result.set_result(ok)

    def run() -> None:
        ok = False
        try:
            ok = job() is not False
        except Exception:
            extra = partition_extra(NO_PARTITION)
            log.exception("telemetry.export_failed", extra=extra)
        with contextlib.suppress(RuntimeError):  # the loop was closed in between
            loop.call_soon_threadsafe(settle, ok)

    # A daemon: the threads of a pool are joined at exit, so a hung one would block it.
    threading.Thread(target=run, name="podvisor-telemetry", daemon=True).start()
    return result
