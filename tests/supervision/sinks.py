"""A sink for every signal of a host, and agents that make it emit all of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import attrs
from opentelemetry.sdk.metrics import (  # noqa: TID251  a test is an application
    MeterProvider,
)
from opentelemetry.sdk.metrics.export import (  # noqa: TID251  likewise
    InMemoryMetricReader,
    NumberDataPoint,
)
from opentelemetry.sdk.trace import (  # noqa: TID251  likewise
    ReadableSpan,
    TracerProvider,
)
from opentelemetry.sdk.trace.export import (  # noqa: TID251  likewise
    SimpleSpanProcessor,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import (  # noqa: TID251  likewise
    InMemorySpanExporter,
)

from pods import Pod, add_node, eager, lazy, remove_node
from supervision import (
    PARTITION_ATTRIBUTE,
    Agent,
    Host,
    HostPolicy,
    InstanceManager,
    Message,
    RestartPolicy,
    TelemetryPolicy,
    handler,
)
from supervision.telemetry.attributes import STAMP
from tests.support import answer

__all__ = [
    "SECRET",
    "Clerk",
    "Fail",
    "Forward",
    "Hold",
    "Masquerade",
    "Office",
    "Pass",
    "Say",
    "SayLater",
    "Sink",
    "Team",
    "app_log",
]

SECRET = "4111-1111-1111-1111"  # noqa: S105  a card number of nobody
"""A tenant's data, in a message and in an error; no signal may carry it."""

app_log = logging.getLogger("an.application.of.ours")


class Say(Message[str]):
    text: str = SECRET


class SayLater(Message[str]):
    text: str = SECRET


class Fail(Message[None]):
    pass


class Forward(Message[str]):
    """Ask another one."""

    key: str


class Pass(Message[None]):
    """Tell another one."""

    key: str


class Hold(Message[None]):
    entered: asyncio.Event = attrs.field(factory=asyncio.Event)
    gate: asyncio.Event = attrs.field(factory=asyncio.Event)


class Masquerade(Message[str]):
    """Set the stamp to another partition, then get somebody."""

    partition: str


class Clerk(Agent):
    said: int = 0

    @handler
    def say(self, message: Say) -> str:
        self.said += 1
        app_log.info("inline")
        return message.text

    @handler
    async def say_later(self, message: SayLater) -> str:
        self.said += 1
        app_log.info("worker")
        return message.text

    @handler
    def fail(self, message: Fail) -> None:
        raise ValueError(SECRET)

    @handler
    async def forward(self, message: Forward) -> str:
        other = await self.context.get("clerks", message.key)
        return await other.ask(Say())

    @handler
    def pass_on(self, message: Pass) -> None:
        self.context.tell(self.context.ref("clerks", message.key), Say())

    @handler
    async def hold(self, message: Hold) -> None:
        message.entered.set()
        await message.gate.wait()

    @handler
    async def masquerade(self, message: Masquerade) -> str:
        STAMP.set(message.partition)
        other = await self.context.get("clerks", "other")
        return other.address.partition


class Office(Pod):
    clerk = eager(Clerk, manager="clerks")
    temp = lazy(Clerk, manager="clerks")


@attrs.frozen
class Team:
    """The managers of one host."""

    clerks: InstanceManager[Clerk]
    brittle: InstanceManager[Clerk]
    offices: InstanceManager[Office]

    @classmethod
    def of(cls, host: Host) -> Team:
        """Declare them."""
        once = RestartPolicy(max_restarts=0)
        return cls(
            host.manager("clerks", Clerk),
            host.manager("brittle", Clerk, restart=once),
            host.manager("offices", Office),
        )

    async def do_everything(self, partition: str) -> None:
        """Make the runtime do in one partition whatever it can do."""
        one = await self.clerks.get("one", partition=partition)
        await one.ask(Say())
        await one.ask(SayLater())
        await one.tell(Say())
        await one.ask(Forward("two"))
        await one.ask(Pass("two"))
        await answer(one.ask(Fail()))
        await one.ask(Say())
        weak = await self.brittle.get("weak", partition=partition)
        await answer(weak.ask(Fail()))
        await answer(weak.ask(Say()))
        await self.brittle.release("weak", partition=partition, actor="me", reason="-")
        await self.clerks.stop("one", partition=partition)
        await one.ask(Say())
        office = await Pod.get(self.offices, "hq", partition=partition)
        await office.ensure_node(Office.temp)
        await office.reconcile()
        await office.mutate([add_node("extra", eager(Clerk, manager="clerks"))])
        await office.mutate([remove_node("extra")])
        await office.stop()


class Sink(logging.Handler):
    """Gathers spans and metrics of hosts with its policy, and all log records."""

    def __init__(self) -> None:
        super().__init__()
        self.spans = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.records: list[logging.LogRecord] = []
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.spans))
        self.meter_provider = MeterProvider([self.reader])

    def policy(
        self, *, alias: str | None = None, top: int = 1_000, sample: float = 1.0
    ) -> HostPolicy:
        """Send a host's spans and metrics here."""
        return HostPolicy(
            telemetry=TelemetryPolicy(
                tracer_provider=self.tracer_provider,
                meter_provider=self.meter_provider,
                alias=alias,
                top=top,
                sample=sample,
            )
        )

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def finished(self, name: str | None = None) -> list[ReadableSpan]:
        """Return the spans that have ended, or those of one name."""
        spans = self.spans.get_finished_spans()
        return [span for span in spans if name is None or span.name == name]

    def points(self) -> list[tuple[str, Mapping[str, object], float]]:
        """Collect: name of the metric, attributes and value of every point."""
        data = self.reader.get_metrics_data()
        return [
            (metric.name, dict(point.attributes or {}), point.value)
            for resource in (() if data is None else data.resource_metrics)
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
            if isinstance(point, NumberDataPoint)
        ]

    def values(self, metric: str) -> dict[object, float]:
        """Collect one metric, by partition."""
        return {
            attributes[PARTITION_ATTRIBUTE]: value
            for name, attributes, value in self.points()
            if name == metric
        }
