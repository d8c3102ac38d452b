"""The spans of a host, and the policy that says where its telemetry goes.

Spans exist only while a tracer provider is configured. The hot path counts in integers,
which observable callbacks read when metrics are exported. Every signal names its
partition by one attribute, ``PARTITION_ATTRIBUTE``.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import time
from typing import TYPE_CHECKING

import attrs
from opentelemetry import trace
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
)

from .attributes import (
    HOST_ATTRIBUTE,
    NO_PARTITION,
    PARTITION_ATTRIBUTE,
    partition_extra,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from contextvars import Token

    from opentelemetry.metrics import MeterProvider

__all__ = ["Telemetry", "TelemetryPolicy", "end_span"]

log = logging.getLogger("podvisor.telemetry")


_PROVIDER_CHECK = 0.01
"""Seconds between two checks for a configured tracer provider, at least."""


@attrs.frozen(kw_only=True)
class TelemetryPolicy:
    """Where a host's telemetry goes.

    Attributes:
        tracer_provider: for spans; ``None``: the global one, once it is configured.
        meter_provider: for metrics; ``None``: the global one.
        alias: a second attribute that carries the partition, such as ``tenant.id``.
        top: partitions that get points of their own in metrics, in the order of their
            first use; the rest are summed under ``_other``. An SDK drops the partition
            of what exceeds its cardinality limit (2,000 by default), so stay below it.
        sample: the part of the messages from outside, from 0 to 1, that get spans. A
            message of a handler follows the message that the handler got. A message
            sent inside a span follows that span. podvisor decides before a span is
            made; a sampler of the SDK decides while one is made, which costs as much
            as ten asks.
    """

    tracer_provider: trace.TracerProvider | None = None
    meter_provider: MeterProvider | None = None
    alias: str | None = None
    top: int = attrs.field(default=1_000, validator=attrs.validators.ge(1))
    sample: float = attrs.field(
        default=1.0,
        validator=[attrs.validators.ge(0.0), attrs.validators.le(1.0)],
    )

    def attributes(self, partition: str) -> dict[str, str]:
        """Return the attributes that name a partition."""
        found = {PARTITION_ATTRIBUTE: partition}
        if self.alias is not None:
            found[self.alias] = partition
        return found


class Telemetry:
    """The spans of one host.

    The name of a span holds a manager and neither key nor partition, so that span names
    stay few. Of an error a span carries the type and not the text, which may hold data
    of a tenant.

    Attributes:
        policy: where they go.
        scope: attributes of the instrumentation scope. They tell apart hosts that share
            a provider; without them the instruments of these hosts would be the same.
        tracing: whether there is a provider; the hot path reads nothing else.
        traces_all: whether every message gets spans.
    """

    def __init__(self, policy: TelemetryPolicy) -> None:
        self.policy = policy
        self.scope = {HOST_ATTRIBUTE: os.urandom(4).hex()}
        self.tracing = self.traces_all = False
        self._next_check = 0.0
        self._tracer: trace.Tracer = trace.NoOpTracer()
        self.refresh()

    def __repr__(self) -> str:
        return f"<Telemetry host={self.scope[HOST_ATTRIBUTE]} tracing={self.tracing}>"

    def refresh(self) -> bool:
        """Check for a tracer provider; return whether one is configured.

        An application may configure the global one after the host has started. While
        there is none, an instance that starts, thaws, hibernates or crashes calls this,
        and so does a pod that is reconciled. No message does.
        """
        if self.tracing or (now := time.monotonic()) < self._next_check:
            return self.tracing
        self._next_check = now + _PROVIDER_CHECK
        provider = self.policy.tracer_provider or trace.get_tracer_provider()
        if isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider):
            return False
        self._tracer = provider.get_tracer("podvisor", attributes=self.scope)
        self.tracing = not isinstance(self._tracer, trace.NoOpTracer)
        self.traces_all = self.tracing and self.policy.sample >= 1.0
        return self.tracing

    def samples(self) -> bool:
        """Decide whether a message from outside of any handler gets spans."""
        if not self.tracing or self.traces_all:
            return self.tracing
        if current := get_current():  # empty for most callers
            around = trace.get_current_span(current).get_span_context()
            if around.is_valid:
                return around.trace_flags.sampled
        return random.random() < self.policy.sample  # noqa: S311  no secret

    def sending(self, manager: str, partition: str, *, ask: bool) -> Span:
        """Start the span of a message that is sent, a child of the current span.

        The caller ends it. It does not become the current span, as it may end in
        another step.
        """
        return self._start_span(
            f"send {manager}",
            partition,
            kind=SpanKind.CLIENT if ask else SpanKind.PRODUCER,
        )

    def asking(
        self, manager: str, partition: str
    ) -> contextlib.AbstractContextManager[SpanContext]:
        """Hold the span of an ask until its reply, or its failure."""
        return _HeldSpan(self.sending(manager, partition, ask=True))

    def processing(
        self, manager: str, partition: str, sender: SpanContext | None, *, ask: bool
    ) -> contextlib.AbstractContextManager[SpanContext]:
        """Hold the span of a message that is handled, as the current one.

        The span of an ask is a child of its sender's span. A tell begins a trace of its
        own, with a link, because its sender does not wait.
        """
        parent = Context()
        links: list[Link] = []
        if sender is not None and ask:
            parent = trace.set_span_in_context(NonRecordingSpan(sender), parent)
        elif sender is not None:
            links.append(Link(sender, self.policy.attributes(partition)))
        span = self._start_span(
            f"process {manager}",
            partition,
            context=parent,
            kind=SpanKind.SERVER if ask else SpanKind.CONSUMER,
            links=links,
        )
        return _HeldSpan(span, current=True)

    @contextlib.contextmanager
    def working(self, what: str, manager: str, partition: str) -> Generator[None]:
        """Hold the span of work of the runtime, such as a reconciliation."""
        if not self.refresh():
            yield
            return
        span = self._start_root(what, manager, partition)
        with _HeldSpan(span, current=True):
            yield

    def mark(
        self,
        what: str,
        manager: str,
        partition: str,
        *,
        error: BaseException | None = None,
        seconds: float = 0.0,
    ) -> None:
        """Record the span of work of the runtime that has just ended."""
        if not self.refresh():
            return
        # Not the clock of the host: other programs have spans in the same trace.
        began = time.time_ns() - round(seconds * 1e9)
        span = self._start_root(what, manager, partition, began)
        if error is not None:
            _mark_failed(span, error)
        end_span(span)

    def _start_root(
        self, what: str, manager: str, partition: str, began: int | None = None
    ) -> Span:
        return self._start_span(
            f"{what} {manager}", partition, context=Context(), start_time=began
        )

    def _start_span(
        self,
        name: str,
        partition: str,
        *,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Sequence[Link] = (),
        start_time: int | None = None,
    ) -> Span:
        """Start a span; if the pipeline raises, only the span is lost."""
        try:
            return self._tracer.start_span(
                name,
                context=context,
                kind=kind,
                attributes=self.policy.attributes(partition),
                links=links,
                start_time=start_time,
            )
        except Exception as error:  # noqa: BLE001  a processor is user code
            _report_lost(error)
            return trace.INVALID_SPAN


class _HeldSpan:
    """A span that ends with a block; with ``current`` it is the current one inside.

    The context manager of the SDK would record the text and the traceback of an error.
    """

    __slots__ = ("_current", "_span", "_token")

    def __init__(self, span: Span, *, current: bool = False) -> None:
        self._span = span
        self._current = current
        self._token: Token[Context] | None = None

    def __enter__(self) -> SpanContext:
        if self._current:
            self._token = attach(trace.set_span_in_context(self._span))
        return self._span.get_span_context()

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if self._token is not None:
            detach(self._token)
        if error is not None:
            _mark_failed(self._span, error)
        end_span(self._span)


def end_span(span: Span) -> None:
    """End a span; if the pipeline raises, only the span is lost."""
    try:
        span.end()
    except Exception as error:  # noqa: BLE001  a processor is user code
        _report_lost(error)


def _report_lost(error: Exception) -> None:
    kind = type(error).__qualname__
    log.warning("telemetry.span_lost", extra=partition_extra(NO_PARTITION, error=kind))


def _mark_failed(span: Span, error: BaseException) -> None:
    kind = type(error).__qualname__
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR, kind))
