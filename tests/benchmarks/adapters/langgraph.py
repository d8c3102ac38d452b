"""langgraph: a graph that goes round, each round a checkpoint in SQLite."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, TypedDict

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph

from tests.benchmarks.system import Steps

__all__ = ["open_steps"]


class State(TypedDict):
    n: int
    until: int


async def bump(state: State) -> dict[str, int]:
    return {"n": state["n"] + 1}


def again(state: State) -> str:
    return "bump" if state["n"] < state["until"] else END


class Graph(Steps):
    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._runs = 0

    async def run(self, steps: int) -> None:
        self._runs += 1
        await self._graph.ainvoke(
            {"n": 0, "until": steps},
            {
                "configurable": {"thread_id": f"run-{self._runs}"},
                "recursion_limit": steps + 10,
            },
            durability="sync",  # as podvisor does: stored before the next step begins
        )


@contextlib.asynccontextmanager
async def open_steps(folder: Path) -> AsyncGenerator[Steps]:
    file = str(folder / "langgraph.db")
    async with AsyncSqliteSaver.from_conn_string(file) as saver:
        graph = StateGraph(State)
        graph.add_node("bump", bump)
        graph.add_edge(START, "bump")
        graph.add_conditional_edges("bump", again)
        yield Graph(graph.compile(checkpointer=saver))
