"""A check of every change of an instance's phase, for the whole test suite."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from supervision.agents.phases import NEXT_PHASES
from supervision.extending import Instance, Phase

__all__ = ["IllegalPhase", "checked_phases"]


class IllegalPhase(BaseException):
    """A change that the table does not allow; no guard of user code takes it."""


@contextmanager
def checked_phases() -> Generator[None]:
    """Put a checking property in the place of the slot until the block ends."""
    slot = vars(Instance)["phase"]

    def read(instance: Instance) -> Phase:
        found: Phase = slot.__get__(instance)
        return found

    def change(instance: Instance, phase: Phase) -> None:
        try:
            before = read(instance)
        except AttributeError:  # it is being made
            before = None
        if before is not None and phase not in NEXT_PHASES[before]:
            illegal.append(f"{instance.address}: {before.name} -> {phase.name}")
            raise IllegalPhase(illegal[-1])
        slot.__set__(instance, phase)

    illegal: list[str] = []
    setattr(Instance, "phase", property(read, change))  # noqa: B010  a slot has no setter to patch
    try:
        yield
    finally:
        setattr(Instance, "phase", slot)  # noqa: B010  likewise
    if illegal:  # a broad except may have taken the error
        raise IllegalPhase("; ".join(illegal))
