"""Reports in a real browser, with all that is folded opened: every page through axe, and none wider
than its window.
"""

import json
import shutil

import pytest

from hyperfitting.comparing import compare
from hyperfitting.report import write_comparison
from tests.support.browsing import DESKTOP, PHONE, assert_accessible

OPEN = "document.querySelectorAll('details').forEach(each => { each.open = true; })"


@pytest.fixture(scope="module")
def pages(finished, tmp_path_factory):
    """The files of an experiment's report, and of a comparison with what could be another order."""
    folder = tmp_path_factory.mktemp("reports")
    other = shutil.copytree(finished.folder, folder / "other")
    recipe = json.loads((other / "recipe.json").read_text(encoding="utf-8"))
    recipe["train"]["order_seed"] = 5
    (other / "recipe.json").write_text(json.dumps(recipe), encoding="utf-8")
    compared = write_comparison(compare([finished.folder, other]), folder / "comparison")
    report = finished.report_folder
    return {
        "report": report / "index.html",
        "texts": report / "texts.html",
        "comparison": compared,
    }


@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("name", ["report", "texts", "comparison"])
def test_a_report_is_accessible_and_no_wider_than_its_window(pages, visit, name, screen):
    page = visit(**screen)
    page.goto(pages[name].as_uri())
    page.evaluate(OPEN)
    assert_accessible(page, name)
