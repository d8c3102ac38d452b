"""What every system is asked to do, so that all are measured alike."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

__all__ = ["Steps", "System"]


class System(Protocol):
    """A running actor system.

    Attributes:
        single: all of it runs in one thread, so CPU time is what it costs.
        most: actors that it can be expected to hold.
    """

    single: ClassVar[bool] = True
    most: ClassVar[int] = 1_000

    async def actor(self, key: str) -> Any:  # noqa: ANN401  each has a handle of its own
        """Return a handle to a counter; it may be made by this, or by the first ask."""
        ...

    async def ask(self, actor: Any) -> int:  # noqa: ANN401  see above
        """Count one up, and return the count."""
        ...

    async def tell(self, actor: Any) -> None:  # noqa: ANN401  see above
        """Count one up without waiting; an ask that follows sees it counted."""
        ...

    async def stop(self, actor: Any) -> None:  # noqa: ANN401  see above
        """Let go of an actor, where hundreds of them are too much."""


class Steps(Protocol):
    """Something that makes steps whose results are stored one by one."""

    async def run(self, steps: int) -> None:
        """Make so many, one after another."""
        ...
