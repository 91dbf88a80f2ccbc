"""The layers inside the preference room: imports go strictly down. That no modules import each
other in a circle, in this room too, stands in `test_layers.py`.
"""

import pytest

from tests.support.source import MODULES, SOURCE, imported, imported_modules

PREFIX = "hyperfitting.preference."

# From the ground up. A module or package imports only from the layers below, or from its own
# package.
LAYERS = [
    {"records", "languages"},
    {"wording"},
    {"protocol"},
    {"settings_input", "study"},
    {"store"},
    {"judges", "analysis"},
    {"design", "settings_tables", "web"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
OWN = sorted(name for name in MODULES if name.startswith(PREFIX))


def part(name):
    """The module or package of this room that a dotted name belongs to; none for other rooms."""
    return name.removeprefix(PREFIX).split(".")[0] if name.startswith(PREFIX) else None


def test_every_module_has_a_layer():
    assert {part(name) for name in OWN} == set(LEVEL)


@pytest.mark.parametrize("name", OWN)
def test_imports_go_strictly_down(name):
    for other in imported_modules(MODULES[name]):
        if part(other) not in (None, part(name)):
            assert LEVEL[part(other)] < LEVEL[part(name)], f"{name} imports {other}"


@pytest.mark.parametrize("path", sorted((SOURCE / "web").glob("*.py")), ids=lambda path: path.name)
def test_the_web_kit_knows_nothing_of_its_apps(path):
    rooms = {name for name in imported(path) if name.startswith("hyperfitting")}
    assert {name.split(".")[1] for name in rooms} <= {"errors", "web"}
    assert "preference" not in path.read_text(encoding="utf-8")
