"""The second example proves what it prints, on every store."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples import isolation


@pytest.mark.parametrize("store", ["sqlite", "memory"])
async def test_one_key_in_two_partitions_is_two_worlds(
    store: str, tmp_path: Path
) -> None:
    """G4, G5, G8, G9, G10, G11, G14: every claim of the example holds."""
    file = f"sqlite+aiosqlite:///{tmp_path / 'desks.db'}"
    claims: dict[str, bool] = {}

    await isolation.demo(
        file if store == "sqlite" else "memory://",
        lambda claim, holds: claims.update({claim: holds}),
    )

    assert [claim for claim, holds in claims.items() if not holds] == []
    assert len(claims) == 22


def test_a_claim_that_does_not_hold_is_an_error() -> None:
    with pytest.raises(AssertionError, match="pigs fly"):
        isolation.print_proof("pigs fly", holds=False)


async def test_what_is_not_refused_counts_as_such() -> None:
    async def answer() -> int:
        return 1

    assert not await isolation.refused(answer(), ValueError)


def test_the_example_runs_as_a_script(capsys: pytest.CaptureFixture[str]) -> None:
    isolation.main()

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ok  both partitions use one key"
    assert lines[-1] == "ok  south never noticed"
