"""The project's source as data for the contract tests: files, rooms, imports and public names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "hyperfitting"
FILES = sorted(SOURCE.rglob("*.py"))
BENCH = sorted((ROOT / "bench").glob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def shown(path: Path) -> str:
    """A file's place in the project."""
    return path.relative_to(ROOT).as_posix()


def room(path: Path) -> str:
    """The first part of a module's path: a package or a single file of the top level."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def module_name(path: Path) -> str:
    """The dotted name under which a file of the source is imported."""
    parts = ("hyperfitting", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in FILES}


@cache
def tree(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[str]:
    """Dotted names that a file imports anywhere, also inside functions and by `optional`, but not
    under `if TYPE_CHECKING:`.
    """
    typing_only = {
        id(inner)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree(path)):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module is not None
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES else node.module
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "optional":
            (name,) = node.args
            assert isinstance(name, ast.Constant), f"{path}: a part is named where it is loaded"
            yield name.value


def imported_modules(path: Path) -> set[str]:
    """The modules of this project that a file imports."""
    return {name for name in imported(path) if name in MODULES} - {module_name(path)}


def public_names(path: Path) -> set[str]:
    """The functions, classes and constants without a leading underscore that a module defines at
    its top level.
    """
    found: set[str] = set()
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {each.id for each in node.targets if isinstance(each, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return {name for name in found if not name.startswith("_")}
