"""What an instance takes while nobody wants anything of it."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.figures import Row, at_most
from tests.benchmarks.harness import Case, Size, alternate
from tests.benchmarks.residents import (
    hibernated_instances,
    idle_instances,
    idle_tasks,
    measured_apart,
)

__all__ = ["CASES"]


async def idle_memory(size: Size) -> Sequence[Row]:
    count = size.of(100_000, 500)
    pairs = await alternate(
        lambda: measured_apart(idle_instances, count),
        lambda: measured_apart(idle_tasks, count),
        size.with_warm_up(0),
    )
    return [
        Row(
            name="idle_memory",
            what="an idle instance with three fields, 100,000 live",
            reference="an idle task and its `asyncio.Queue`",
            unit="B",
            pairs=pairs,
            reach=at_most(0.2),
        )
    ]


async def hibernated_memory(size: Size) -> Sequence[Row]:
    count = size.of(20_000, 100)

    async def one_byte() -> float:
        return 1.0

    pairs = await alternate(
        lambda: measured_apart(hibernated_instances, count),
        one_byte,
        size.with_warm_up(0),
    )
    return [
        Row(
            name="hibernated_memory",
            what="what a hibernated instance leaves in the process",
            reference="one byte",
            unit="B",
            pairs=pairs,
            reach=at_most(16),
        )
    ]


CASES = (
    Case(name="idle_memory", measure=idle_memory),
    Case(name="hibernated_memory", measure=hibernated_memory),
)
