"""Where and with what something was measured."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
import sqlite3
from pathlib import Path

__all__ = ["about", "version_of"]

_PACKAGES = (
    "podvisor",
    "SQLAlchemy",
    "aiosqlite",
    "attrs",
    "cattrs",
    "msgspec",
    "opentelemetry-sdk",
)


def about(command: str) -> dict[str, str]:
    """Describe this machine, the versions and the moment, in words."""
    return {
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": command,
        "cpu": _cpu(),
        "cores": str(os.cpu_count()),
        "memory": _memory(),
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "system": platform.platform(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "packages": ", ".join(f"{name} {version_of(name)}" for name in _PACKAGES),
    }


def version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "from the source tree"


def _cpu() -> str:
    return _field("/proc/cpuinfo", "model name") or platform.machine()


def _memory() -> str:
    kilobytes = _field("/proc/meminfo", "MemTotal").split()
    return f"{int(kilobytes[0]) / 1024**2:.0f} GiB" if kilobytes else "unknown"


def _field(file: str, name: str) -> str:
    for line in Path(file).read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
