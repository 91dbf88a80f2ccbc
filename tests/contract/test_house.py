"""The house rules, read from the source: layers, doors, light imports, public names, documents that tell the truth."""

import ast
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import hyperfitting
from hyperfitting.cli import parser
from hyperfitting.errors import InputError
from hyperfitting.files import alone_in
from hyperfitting.recipes import settings_markdown, shipped_recipes
from hyperfitting.report.tables import LABELS

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "hyperfitting"

# From the ground up. A room may import rooms below it, never its own layer's others nor anything above.
LAYERS = [
    {"environment", "errors", "progress", "hub"},
    {"assets", "files", "web"},
    {"recipe", "records"},
    {"recipes", "weights"},
    {"runs", "metrics"},
    {"decoding"},
    {"models", "data"},
    {"check", "compare", "generate", "judge", "measure", "preference", "training"},
    {"report"},
    {"pipeline"},
    {"cli"},
    {"__init__", "__main__"},
]
DOORS = {
    "transformers": {"models"},
    "tokenizers": {"models"},
    "peft": {"models"},
    "datasets": {"data"},
    "pyarrow": {"data"},
    "huggingface_hub": {"hub"},
    "lm_eval": {"downstream"},
    "matplotlib": {"report"},
    "jinja2": {"report", "web"},
    "sqlalchemy": {"preference"},
    "fastapi": {"preference"},
    "uvicorn": {"web"},
    "scipy": {"preference"},
    "tqdm": {"cli"},
    "sacrebleu": {"metrics"},
}
TORCH_ROOMS = {"decoding", "metrics", "models", "measure", "generate", "training"}


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path):
    """Modules that a file imports outside `if TYPE_CHECKING:`, as dotted names."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module
            if node.module == "hyperfitting":
                yield from (f"hyperfitting.{alias.name}" for alias in node.names)


FILES = sorted(SOURCE.rglob("*.py"))
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def test_every_room_has_a_layer():
    assert {room(path) for path in FILES} == set(LEVEL)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_strictly_down(path):
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "hyperfitting" and len(parts) > 1 and parts[1] in LEVEL and parts[1] != room(path):
            assert LEVEL[parts[1]] < LEVEL[room(path)], f"{path} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_each_heavy_library_has_one_door(path):
    for name in imports(path):
        top = name.split(".")[0]
        assert room(path) in DOORS.get(top, {room(path)}), f"{path} imports {name}"
        if top == "torch":
            assert room(path) in TORCH_ROOMS, f"{path} imports torch"


def loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(' '.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_importing_the_package_is_light():
    heavy = {"torch", "transformers", "numpy", "pydantic", "datasets", "matplotlib", "jinja2", "tqdm"}
    assert not heavy & loaded_by("import hyperfitting")
    assert not heavy & loaded_by("import hyperfitting.cli")


def test_judging_and_reporting_need_no_torch():
    loaded = loaded_by(
        "import hyperfitting.report, hyperfitting.runs, hyperfitting.metrics.overlap, hyperfitting.metrics.stats, "
        "hyperfitting.metrics.bleu, hyperfitting.metrics.mauve"
    )
    assert not {"torch", "transformers", "datasets", "sacrebleu"} & loaded


def test_locks_are_asked_for_only_where_a_folder_is_held(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert "fcntl" not in {
        name
        for path in FILES
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Import)
        for name in (alias.name for alias in node.names)
    }
    with (
        pytest.raises(InputError, match="training needs file locks, which this system lacks: use Linux or macOS"),
        alone_in(tmp_path / "run"),
    ):
        pass
    assert not (tmp_path / "run").exists()


def test_help_is_there_in_half_a_second():
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "hyperfitting", "--help"], capture_output=True, text=True, check=True
        )
        seconds.append(time.perf_counter() - started)
    assert "hyperfit demo" in done.stdout
    assert min(seconds) < 0.5


def test_public_names():
    for name in hyperfitting.__all__:
        assert getattr(hyperfitting, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = hyperfitting.nothing
    assert dir(hyperfitting) == hyperfitting.__all__


def test_every_public_function_and_class_has_a_docstring():
    for path in FILES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path}: {node.name}"


def test_every_setting_is_documented():
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == settings_markdown()


def test_every_measure_is_defined():
    text = (ROOT / "docs" / "measures.md").read_text(encoding="utf-8")
    assert [name for name in LABELS if f"`{name}`" not in text] == []


def test_every_verb_and_recipe_is_in_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    verbs = next(action.choices for action in parser()._actions if action.dest == "verb")
    assert [verb for verb in verbs if f"hyperfit {verb}" not in text] == []
    assert [name for name in shipped_recipes() if f"`{name}`" not in text] == []


def test_every_room_is_in_the_readmes_tree():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rooms = {room(path) for path in FILES} - {"__init__", "__main__"}
    assert [name for name in sorted(rooms) if not re.search(rf"^\s+{name}(\.py|/)\s", text, re.M)] == []


def test_the_documents_name_no_machine():
    shown = [path for path in ROOT.rglob("*.md") if ".venv" not in path.parts and "runs" not in path.parts]
    for path in [*shown, ROOT / "Makefile", *FILES]:
        assert not re.search(r"(?<![\w.~])/(home|root|work|opt|Users)/", path.read_text(encoding="utf-8")), path
