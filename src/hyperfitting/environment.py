"""What a run was made in: versions, machine, command."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

_PACKAGES = (
    "hyperfitting",
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "datasets",
    "numpy",
    "pydantic",
)


@dataclass(frozen=True)
class Environment:
    """Versions, machine and the command as it was typed. Names no host or user."""

    python: str
    platform: str
    cpu_count: int | None
    versions: dict[str, str]
    command: tuple[str, ...]

    @classmethod
    def of_this_process(cls) -> Environment:
        """What this process runs in."""
        return cls(
            python=platform.python_version(),
            platform=f"{platform.system()} {platform.machine()}",
            cpu_count=os.cpu_count(),
            versions={package: _version(package) for package in _PACKAGES},
            command=(Path(sys.argv[0]).name, *sys.argv[1:]),
        )


@cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
