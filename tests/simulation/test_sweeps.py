from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import islice

import pytest

from tests.simulation.cancels import (
    OPERATIONS,
    STYLES,
    cancel_everywhere,
    cancel_host_everywhere,
)
from tests.simulation.grid import count_operations, fail_at, points

__all__: list[str] = []

STEP = 13
"""Every 13th point: each operation about once, and each way to fail in turn."""
BLOCKS = 4


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep a thousand expected reports of failures from being formatted."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_call_may_be_cancelled_in_any_pass(name: str, style: str) -> None:
    """Row 2: in every pass of every operation: no leak, no half turn, none wedged."""
    assert cancel_everywhere(name, style) > 0


@pytest.mark.timeout(60)
@pytest.mark.parametrize("style", STYLES)
def test_a_host_may_be_cancelled_while_it_opens_works_and_closes(style: str) -> None:
    """Row 2: likewise, in every fifth pass here; the command takes every one."""
    assert cancel_host_everywhere(style, step=5) > 0


@pytest.mark.timeout(60)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_nobody_is_told_what_is_not_true(block: int) -> None:
    """Row 3: each storage operation fails; what callers were told is what is stored."""
    sample = islice(points(count_operations()), block * STEP, None, BLOCKS * STEP)

    for point in sample:
        fail_at(point)
