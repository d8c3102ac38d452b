from __future__ import annotations

import pytest

from supervision import Host
from supervision.agents.phases import NEXT_PHASES
from supervision.extending import Phase
from tests.checked_phases import IllegalPhase, checked_phases
from tests.support import Counter


def test_every_phase_has_its_line_in_the_table() -> None:
    assert set(NEXT_PHASES) == set(Phase)


def test_every_phase_is_reached_and_leads_to_the_end() -> None:
    reached = {phase for following in NEXT_PHASES.values() for phase in following}
    ends = {Phase.STOPPED}
    while more := {p for p, n in NEXT_PHASES.items() if n & ends} - ends:
        ends |= more

    assert reached == set(Phase)
    assert ends == set(Phase)


async def test_a_change_that_the_table_does_not_allow_is_caught(host: Host) -> None:
    counter = await host.manager("counters", Counter).get("one", partition="acme")
    instance = host.runtime.catalog.find(counter.address)
    assert instance is not None

    with pytest.raises(IllegalPhase, match="IDLE -> STARTING"):  # noqa: SIM117
        with checked_phases():
            instance.phase = Phase.STARTING

    assert instance.phase is Phase.IDLE
