"""The part of a store's contract that is about records."""

from __future__ import annotations

import pytest

from persistence import (
    Address,
    CorruptRecord,
    Delete,
    Key,
    LiftQuarantine,
    Operation,
    PutQuarantine,
    Quarantine,
    Record,
    RecordKind,
    Save,
    StaleOwner,
    StaleRevision,
)

from .making import Make, body_of, opened, save, state, unit

__all__ = ["RecordConformance"]

HOSTILE_TWINS: list[tuple[Key, Key]] = [
    ("k", ("k",)),
    (("a", "b"), "a,b"),
    (("a", "b"), '["a","b"]'),
    (("a:b", "c"), ("a", "b:c")),
    ((("a",), "b"), ("a", ("b",))),
    ("acme", "Acme"),
    ("user_1", "userX1"),
    ("100%", "100x"),
    ("'; DROP TABLE podvisor_records; --", "'"),
    ("ß", "ss"),
]


class RecordConformance:
    """What a store promises about records, owners and quarantine."""

    async def test_what_was_saved_is_read_back_whole(self, make: Make) -> None:
        """A9: a record keeps every field."""
        parent = Address("acme", "pods", ("root", "1"))
        record = Record(
            Address("acme", "workers", ("w", "ü")),
            RecordKind.STATE,
            1,
            7,
            b'{"a":"\xc3\xbc"}',
            parent,
        )

        async with opened(make, "acme") as store:
            answers = await store.apply([unit(Save(record))])
            found = await store.load("workers", [("w", "ü")], partition="acme")

        assert answers == [None]
        assert found == [(record,)]

    async def test_an_absent_key_has_no_records(self, make: Make) -> None:
        """B6: absent is an empty answer and no error."""
        async with opened(make, "acme") as store:
            found = await store.load("workers", ["nobody"], partition="acme")

        assert found == [()]

    async def test_records_come_in_the_order_of_the_keys(self, make: Make) -> None:
        """G17: a load of many answers for each, also when a key is asked for twice."""
        asked = ["c", "absent", "a", "b", "a"]
        async with opened(make, "acme") as store:
            await store.apply([save(key, body=key.encode()) for key in ("a", "b", "c")])
            found = await store.load("workers", asked, partition="acme")

        bodies = [one[0].body if one else None for one in found if type(one) is tuple]
        assert bodies == [b"c", None, b"a", b"b", b"a"]

    async def test_a_load_of_no_keys_is_empty(self, make: Make) -> None:
        """G17: nothing asked, nothing read."""
        async with opened(make, "acme") as store:
            found = await store.load("workers", [], partition="acme")

        assert found == []

    async def test_state_and_topology_have_revisions_of_their_own(
        self, make: Make
    ) -> None:
        """G3: the two records of a pod are saved independently."""
        address = Address("acme", "workers", "pod")
        topology = Record(address, RecordKind.TOPOLOGY, 1, 1, b"[]")
        async with opened(make, "acme") as store:
            await store.apply([save("pod"), save("pod", 2), unit(Save(topology))])
            (found,) = await store.load("workers", ["pod"], partition="acme")

        assert isinstance(found, tuple)
        assert {record.kind: record.rev for record in found} == {
            RecordKind.STATE: 2,
            RecordKind.TOPOLOGY: 1,
        }

    async def test_one_key_in_two_partitions_is_two_instances(self, make: Make) -> None:
        """G5: the same manager and key never meet across partitions."""
        async with opened(make, "acme", "globex") as store:
            await store.apply(
                [
                    save("k", body=b"acme"),
                    save("k", body=b"globex", partition="globex"),
                ]
            )
            await store.apply([unit(Delete(Address("acme", "workers", "k")))])
            bodies = (await body_of(store, "k"), await body_of(store, "k", "globex"))

        assert bodies == (None, b"globex")

    @pytest.mark.parametrize("twin", ["acme-corp", "acm", "acme.", "acme_", "acmf"])
    async def test_a_partition_does_not_see_its_prefix_twin(
        self, make: Make, twin: str
    ) -> None:
        """A4: listing and counting compare the whole partition id."""
        parent = Address(twin, "pods", "root")
        mark = Quarantine(Address(twin, "workers", "k"), "bad", 1.5)
        record = state("k", partition=twin, parent=parent)
        async with opened(make, "acme", twin) as store:
            await store.apply([unit(Save(record), PutQuarantine(mark), partition=twin)])
            keys = await store.keys("workers", partition="acme", after=None, limit=9)
            count = await store.count("workers", partition="acme")
            children = await store.children(Address("acme", "pods", "root"))
            marks = await store.quarantined(partition="acme")

        assert (keys, count, children, marks) == ([], 0, [], [])

    @pytest.mark.parametrize(("one", "other"), HOSTILE_TWINS)
    async def test_keys_that_look_alike_are_two_instances(
        self, make: Make, one: Key, other: Key
    ) -> None:
        """A4: tuples, separators, case and wildcards forge no other key."""
        async with opened(make, "acme") as store:
            answers = await store.apply([save(one, body=b"1"), save(other, body=b"2")])
            bodies = (await body_of(store, one), await body_of(store, other))

        assert answers == [None, None]
        assert bodies == (b"1", b"2")

    async def test_managers_do_not_share_keys(self, make: Make) -> None:
        """G7: identity has three parts."""
        other = Record(Address("acme", "pods", "k"), RecordKind.STATE, 1, 1, b"pod")
        async with opened(make, "acme") as store:
            await store.apply([save("k", body=b"worker"), unit(Save(other))])
            worker = await body_of(store, "k")
            count = await store.count("pods", partition="acme")

        assert (worker, count) == (b"worker", 1)

    async def test_a_claim_raises_the_epoch(self, make: Make) -> None:
        """G7: each owner has an epoch of its own, per partition."""
        async with opened(make, "acme") as store:
            claims = await store.claim(["acme", "globex"])

        assert [(claim.partition, claim.epoch) for claim in claims] == [
            ("acme", 2),
            ("globex", 1),
        ]

    async def test_a_save_under_an_old_epoch_is_refused(self, make: Make) -> None:
        """A9: a host that lost the partition cannot write into it."""
        async with opened(make, "acme") as store:
            await store.apply([save("k", body=b"old")])
            await store.claim(["acme"])
            answers = await store.apply([save("k", 2, b"stale"), save("new")])
            body = await body_of(store, "k")

        assert [type(answer) for answer in answers] == [StaleOwner, StaleOwner]
        assert body == b"old"

    @pytest.mark.parametrize("epoch", [0, 1, -1])
    async def test_nobody_writes_into_a_partition_that_was_never_claimed(
        self, make: Make, epoch: int
    ) -> None:
        """A9: no owner, no write."""
        operation = Save(state("k"))
        async with opened(make) as store:
            (answer,) = await store.apply([unit(operation, epoch=epoch)])
            body = await body_of(store, "k")

        assert isinstance(answer, StaleOwner)
        assert (answer.partition, answer.epoch) == ("acme", epoch)
        assert body is None

    @pytest.mark.parametrize(
        "operation",
        [
            Delete(Address("acme", "workers", "absent")),
            LiftQuarantine(Address("acme", "workers", "absent")),
            PutQuarantine(Quarantine(Address("acme", "workers", "absent"), "x", 1.0)),
            None,
        ],
    )
    async def test_every_operation_is_fenced_by_the_epoch(
        self, make: Make, operation: Operation | None
    ) -> None:
        """A9: a stale owner is told so, whatever it wanted."""
        operations = () if operation is None else (operation,)
        async with opened(make, "acme") as store:
            stale, current = await store.apply(
                [unit(*operations, epoch=7), unit(*operations)]
            )

        assert isinstance(stale, StaleOwner)
        assert current is None

    async def test_a_stale_save_is_refused(self, make: Make) -> None:
        """A9: no lost update; the first of two writers wins."""
        async with opened(make, "acme") as store:
            await store.apply([save("k"), save("k", 2, b"first")])
            (answer,) = await store.apply([save("k", 2, b"second")])
            body = await body_of(store, "k")

        assert isinstance(answer, StaleRevision)
        assert answer.address == Address("acme", "workers", "k")
        assert answer.expected == 1
        assert body == b"first"

    @pytest.mark.parametrize("rev", [2, 3, 0, -1])
    async def test_a_save_needs_the_revision_before_it(
        self, make: Make, rev: int
    ) -> None:
        """A9: a row that vanished is not made again by its old owner."""
        async with opened(make, "acme") as store:
            (answer,) = await store.apply([save("k", rev)])
            body = await body_of(store, "k")

        assert isinstance(answer, StaleRevision)
        assert body is None

    async def test_a_first_save_does_not_replace_a_row(self, make: Make) -> None:
        """P2: a fresh instance never overwrites what is there."""
        async with opened(make, "acme") as store:
            await store.apply([save("k", body=b"kept")])
            (answer,) = await store.apply([save("k", body=b"fresh")])
            body = await body_of(store, "k")

        assert isinstance(answer, StaleRevision)
        assert body == b"kept"

    @pytest.mark.parametrize("alone", [True, False])
    async def test_a_unit_is_saved_whole_or_not_at_all(
        self, make: Make, *, alone: bool
    ) -> None:
        """A9: every kind of operation of a refused unit is undone."""
        address = Address("acme", "workers", "old")
        mark = Quarantine(address, "kept", 1.0)
        bad = unit(
            Save(state("old", 2, b"new")),
            Save(state("fresh")),
            Delete(Address("acme", "workers", "gone")),
            PutQuarantine(Quarantine(address, "replaced", 2.0)),
            Save(state("old", 9)),
        )
        batch = [bad] if alone else [save("other"), bad]
        async with opened(make, "acme") as store:
            await store.apply(
                [save("old", body=b"1"), save("gone"), unit(PutQuarantine(mark))]
            )
            *_, answer = await store.apply(batch)
            bodies = [await body_of(store, key) for key in ("old", "fresh", "gone")]
            marks = await store.quarantined(partition="acme")
            keys = await store.keys("workers", partition="acme", after=None, limit=9)

        assert isinstance(answer, StaleRevision)
        assert bodies == [b"1", None, b"{}"]
        assert marks == [mark]
        assert "fresh" not in keys

    async def test_a_refused_unit_disturbs_no_other(self, make: Make) -> None:
        """P1: of fifty units in two partitions one is stale, 49 are saved."""
        units = [
            save(f"k{n}", 5 if n == 24 else 1, partition=("acme", "globex")[n % 2])
            for n in range(50)
        ]
        async with opened(make, "acme", "globex") as store:
            answers = await store.apply(units)
            counts = [
                await store.count("workers", partition=name)
                for name in ("acme", "globex")
            ]

        refused = [n for n, answer in enumerate(answers) if answer is not None]
        assert refused == [24]
        assert counts == [24, 25]

    async def test_units_of_a_partition_are_applied_in_order(self, make: Make) -> None:
        """A9: revisions one, two and three of a row may share a transaction."""
        address = Address("acme", "workers", "k")
        async with opened(make, "acme") as store:
            answers = await store.apply(
                [
                    save("k", 1),
                    save("other"),
                    save("k", 2),
                    save("k", 3, b"three"),
                    unit(Delete(address)),
                    save("k", 1, b"again"),
                ]
            )
            body = await body_of(store, "k")

        assert answers == [None] * 6
        assert body == b"again"

    async def test_a_record_outside_its_ranges_is_not_believed(
        self, make: Make
    ) -> None:
        """P2: versions begin with one; a row that says otherwise is refused."""
        record = state("k")._replace(version=0)
        async with opened(make, "acme") as store:
            await store.apply([unit(Save(record)), save("l")])
            bad, good = await store.load("workers", ["k", "l"], partition="acme")

        assert isinstance(bad, CorruptRecord)
        assert good == (state("l"),)

    async def test_delete_removes_both_records_and_nothing_else(
        self, make: Make
    ) -> None:
        """G9: the neighbours of a deleted instance stay."""
        address = Address("acme", "workers", "k")
        topology = Record(address, RecordKind.TOPOLOGY, 1, 1, b"[]")
        async with opened(make, "acme") as store:
            await store.apply([save("k"), unit(Save(topology)), save("k2")])
            answers = await store.apply([unit(Delete(address)), unit(Delete(address))])
            found = await store.load("workers", ["k"], partition="acme")
            keys = await store.keys("workers", partition="acme", after=None, limit=9)

        assert answers == [None, None]
        assert found == [()]
        assert keys == ["k2"]

    async def test_a_quarantine_is_kept_and_told_to_the_next_owner(
        self, make: Make
    ) -> None:
        """P2: a mark outlives its host, and the newest reason counts."""
        first = Quarantine(Address("acme", "workers", ("a", "b")), "old", 1.5)
        newest = Quarantine(Address("acme", "workers", ("a", "b")), "näw", 2.5)
        async with opened(make, "acme", "globex") as store:
            await store.apply([unit(PutQuarantine(first)), unit(PutQuarantine(newest))])

        async with opened(make) as store:
            mine, foreign = await store.claim(["acme", "globex"])

        assert mine.quarantined == (newest,)
        assert foreign.quarantined == ()

    async def test_a_lifted_quarantine_is_gone(self, make: Make) -> None:
        """P2: one operation releases an instance."""
        address = Address("acme", "workers", "k")
        async with opened(make, "acme") as store:
            await store.apply([unit(PutQuarantine(Quarantine(address, "bad", 1.0)))])
            answers = await store.apply([unit(LiftQuarantine(address))])
            marks = await store.quarantined(partition="acme")

        assert answers == [None]
        assert marks == []
