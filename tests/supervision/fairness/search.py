from __future__ import annotations

import traceback
from collections.abc import Callable

from hypothesis import Phase, settings

__all__ = ["counterexample", "planted", "thorough"]

thorough = settings(deadline=None)
"""Runs per bound are those of the profile; ``--hypothesis-profile=large`` for many."""
planted = settings(
    deadline=None,
    phases=[Phase.generate],
    database=None,
    derandomize=True,
    max_examples=500,
    report_multiple_bugs=False,
)
"""For a core with a mistake in it: the first run that shows it will do.

The runs are the same each time: one in some hundred random searches missed a mistake.
"""


def counterexample(check: Callable[[], None]) -> str | None:
    """Look for a run in which a bound is missed; return what hypothesis says of it."""
    try:
        check()
    except AssertionError as error:
        return "\n".join(traceback.format_exception(error))
    return None
