"""The command ``podvisor``."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from persistence import PodsError

from . import migrate as _migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

__all__ = ["main"]

_DEMO = "pods._workspaces"
"""What ``examples/workspaces.py`` is called in an installed package."""


class _Run(Protocol):
    def __call__(self, database: Path | None, *, plain: bool) -> None: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments; by default those of the process.

    Returns:
        The exit code: 0 if it worked, 1 if it did not, 130 if it was interrupted.

    Raises:
        SystemExit: the arguments are wrong (2), or ask for help or the version (0).
    """
    arguments = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    code = 0
    try:
        code = run(arguments)
    except* PodsError as found:
        code = _complain(str(_first(found)))
    except* AssertionError as found:
        code = _complain(f"the demo failed: {_first(found)}.")
    except* KeyboardInterrupt:
        kept = getattr(arguments, "db", None) is not None
        advice = "; the same command goes on from here" if kept else ""
        code = _complain(f"interrupted{advice}.", code=130)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="podvisor",
        description="Durable teams of agents for many tenants, in one asyncio process.",
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    demo = commands.add_parser(
        "demo",
        help="let three tenants review real code, and hibernate one of them half-way",
        description=(
            "Three tenants run the same pod under the same key on one SQLite file. "
            "Each reviews a package of the standard library; one is hibernated and "
            "thawed half-way. It takes a few seconds."
        ),
    )
    demo.add_argument(
        "--db",
        metavar="FILE",
        type=_database,
        help="keep the database in FILE (default: a temporary one)",
    )
    demo.add_argument(
        "--plain", action="store_true", help="no colours and no moving bars"
    )
    demo.set_defaults(run=_demo)
    _migrate.add_command(commands.add_parser)
    return parser


def _demo(arguments: argparse.Namespace) -> int:
    database: Path | None = arguments.db
    plain: bool = arguments.plain
    run: _Run = _demo_module().run
    run(database, plain=plain)
    return 0


def _version() -> str:
    try:
        return f"podvisor {importlib.metadata.version('podvisor')}"
    except importlib.metadata.PackageNotFoundError:
        return "podvisor (not installed: run from a checkout)"


def _database(text: str) -> Path:
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}")
    return path


def _demo_module() -> ModuleType:
    """Import the demo: from the installed package, or else from the checkout."""
    if importlib.util.find_spec(_DEMO) is not None:
        return importlib.import_module(_DEMO)
    path = Path(__file__).parents[2] / "examples" / "workspaces.py"
    spec = importlib.util.spec_from_file_location(_DEMO, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {path}")
    # The module must be known by its name: annotations are resolved through it.
    module = sys.modules[_DEMO] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    if isinstance(error, BaseExceptionGroup):
        return _first(error)  # pyright: ignore[reportUnknownArgumentType]  isinstance cannot say of what
    return error


def _complain(text: str, *, code: int = 1) -> int:
    sys.stderr.write(f"podvisor: {text}\n")
    return code
