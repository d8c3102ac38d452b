"""The part of a store's contract that is about letters which were handled."""

from __future__ import annotations

import attrs
import pytest

from persistence import LetterGone, Post, Save, Take

from .letters import letter, stamps
from .making import Make, opened, save, state, unit

__all__ = ["TakeConformance"]


class TakeConformance:
    """What a store promises about a letter that is taken away."""

    async def test_a_taken_letter_is_gone(self, make: Make) -> None:
        """A9: what was handled is not handled again."""
        async with opened(make, "acme") as store:
            await store.apply([unit(Post(letter("1")), Post(letter("2")))])
            answers = await store.apply([unit(Take(letter("1").target, "1", "1"))])

            assert answers == [None]
            assert await stamps(store) == ["2"]

    @pytest.mark.parametrize("number", [1, 2])
    async def test_who_handles_a_letter_that_is_gone_is_refused(
        self, make: Make, number: int
    ) -> None:
        """A9: it was handled elsewhere, so nothing of the second time is kept."""
        target = letter("1").target
        async with opened(make, "acme", "globex") as store:
            await store.apply([unit(Post(letter("1")), Post(letter("2")))])
            again = [
                unit(Save(state(f"k{n}")), Take(target, "1", "1"), Post(letter("3")))
                for n in range(number)
            ]
            other = unit(Save(state("j")), Take(target, "2", "2"))
            first = await store.apply([unit(Take(target, "1", "1"))])
            answers = await store.apply([*again, other, save("j", partition="globex")])
            (kept,) = await store.load("workers", ["j"], partition="acme")
            left = await store.keys("workers", partition="acme", after=None, limit=9)

            assert await stamps(store) == []

        assert first == [None]
        assert [type(one) for one in answers[:number]] == [LetterGone] * number
        assert answers[number:] == [None, None]
        assert kept == (state("j"),)
        assert left == ["j"]

    async def test_of_two_who_handle_a_letter_one_is_refused(self, make: Make) -> None:
        """A9: also in one transaction."""
        take = Take(letter("1").target, "1", "1")
        async with opened(make, "acme") as store:
            await store.apply([unit(Post(letter("1")))])
            answers = await store.apply(
                [unit(Save(state("a")), take), unit(Save(state("b")), take)]
            )
            kept = await store.keys("workers", partition="acme", after=None, limit=9)

        assert answers[0] is None
        assert isinstance(answers[1], LetterGone)
        assert (answers[1].address, answers[1].letter) == (take.target, "1")
        assert "[PV-E209]" in str(answers[1])
        assert kept == ["a"]

    async def test_a_timer_that_was_called_off_may_be_gone(self, make: Make) -> None:
        """A9: its name calls it off while it is handled, or replaces it."""
        tea = attrs.evolve(letter("1"), id="@tea")
        async with opened(make, "acme") as store:
            await store.apply([unit(Post(tea))])
            answers = await store.apply(
                [
                    unit(Take(tea.target, "@tea", "")),
                    unit(Save(state("k")), Take(tea.target, "@tea", "1")),
                    unit(Take(tea.target, "@tea", "")),
                ]
            )

        assert answers == [None, None, None]
