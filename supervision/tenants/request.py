"""Who is asking: the request context that the edge makes and everything passes on."""

from __future__ import annotations

import attrs

from persistence import check_partition

__all__ = ["RequestContext"]


def _check(_: RequestContext, __: attrs.Attribute[str], value: str) -> None:
    check_partition(value)


@attrs.frozen(kw_only=True)
class RequestContext:
    """The facts of one request, stamped once where it enters and passed explicitly.

    Nothing in podvisor reads a context variable to decide access: this value, or a
    ``partition=`` argument, is the only source of authority.

    Attributes:
        partition: access and billing unit.
        project: grouping inside the partition; podvisor only carries it.
        user: who asks; podvisor only carries it.
        auth_mode: how the edge knows the user (``"api-key"``, ``"session"``, …).

    Raises:
        InvalidPartition: the partition is not a valid id.
    """

    partition: str = attrs.field(validator=_check)
    project: str = ""
    user: str = ""
    auth_mode: str = ""
