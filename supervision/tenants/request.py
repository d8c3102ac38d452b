"""The context of a request: made where the request enters, passed on as a value."""

from __future__ import annotations

import attrs

from persistence import check_partition

__all__ = ["RequestContext"]


def _check(_: RequestContext, __: attrs.Attribute[str], value: str) -> None:
    check_partition(value)


@attrs.frozen(kw_only=True, repr=False)
class RequestContext:
    """The facts of one request, stamped once where it enters and passed explicitly.

    podvisor reads no context variable to decide on access: this value, or a
    ``partition=`` argument, is the only source of authority.

    Attributes:
        partition: the unit of access and billing.
        project: a group inside the partition; podvisor only carries it.
        user: the user that sent the request; podvisor only carries it.
        auth_mode: how the user was authenticated (``"api-key"``, ``"session"``, …).

    Raises:
        InvalidPartition: the partition is not a valid id.
    """

    partition: str = attrs.field(validator=_check)
    project: str = ""
    user: str = ""
    auth_mode: str = ""

    def __repr__(self) -> str:
        # What is printed into a prompt or a log must not name a tenant or a user.
        return "<RequestContext>"
