from __future__ import annotations

from collections.abc import Mapping

import pytest

from persistence import Address, InvalidName
from pods.reconciliation.snapshot import NodeSnapshot, NodeState
from pods.topology.topology import Topology
from tests.pods.shapes import Workspace, spec


def test_a_topology_is_drawn_with_borders_and_arrows() -> None:
    """G6: eager solid, lazy dashed, nested double; owner solid, after dotted."""
    drawing = Workspace.__topology__.to_mermaid()

    assert drawing == (
        "flowchart TD\n"
        '    n_coordinator["coordinator<br/>workers"]\n'
        '    n_reviewer["reviewer<br/>workers"]\n'
        '    n_editorial[["editorial<br/>editorial_pods"]]\n'
        "    n_coordinator --> n_reviewer\n"
        "    n_coordinator -.-> n_editorial\n"
        "    classDef lazy stroke-dasharray: 5 5\n"
        "    class n_reviewer lazy\n"
    )


def test_states_are_drawn_with_a_legend() -> None:
    """G6: one class per state; a name that is no node is left out."""
    states: Mapping[str, str] = {
        "reviewer": "stopped",
        "coordinator": "running",
        "editorial": "running",
        "stranger": "quarantined",
    }
    backwards = dict(reversed(list(states.items())))

    drawing = Workspace.__topology__.to_mermaid(states)

    assert drawing.endswith(
        "    subgraph legend\n"
        '        l_running["running"]\n'
        '        l_stopped["stopped"]\n'
        "    end\n"
        "    classDef s_running fill:#aceebb,color:#1f2328\n"
        "    class l_running,n_coordinator,n_editorial s_running\n"
        "    classDef s_stopped fill:#eaeef2,color:#1f2328\n"
        "    class l_stopped,n_reviewer s_stopped\n"
    )
    assert drawing == Workspace.__topology__.to_mermaid(backwards)


def test_a_node_named_like_a_word_of_mermaid_is_drawn() -> None:
    """G6: a bare ``end`` breaks a flowchart."""
    drawing = Topology("Workspace", (spec("end"),)).to_mermaid({})

    assert drawing == 'flowchart TD\n    n_end["end<br/>workers"]\n'


def test_a_state_cannot_smuggle_text_into_a_drawing() -> None:
    """B7: what is drawn is a name."""
    topology = Workspace.__topology__

    with pytest.raises(InvalidName):
        topology.to_mermaid({"reviewer": 'x"]\n    click n_reviewer'})


def test_a_snapshot_repeats_what_the_topology_says() -> None:
    """G6: a node at one moment."""
    address = Address("acme", "workers", ("workspaces", "w", "reviewer"))

    snapshot = NodeSnapshot.of(
        Workspace.__topology__["reviewer"], address, NodeState.BACKING_OFF, "it crashed"
    )

    assert snapshot == NodeSnapshot(
        name="reviewer",
        manager="workers",
        eager=False,
        pod=False,
        owner="coordinator",
        after=(),
        address=address,
        state=NodeState.BACKING_OFF,
        reason="it crashed",
    )


def test_every_state_of_a_node_can_be_drawn() -> None:
    """G6: states are names."""
    topology = Topology("Workspace", (spec("a"),))

    drawings = {topology.to_mermaid({"a": state.value}) for state in NodeState}

    assert len(drawings) == len(NodeState)
