"""A study of images in a real browser: side by side on a phone too, lossless, with words for those
who do not see them.
"""

import pytest

from hyperfitting.preference.design.create import create_study
from tests.support import studies
from tests.support.browsing import DESKTOP, PHONE, assert_accessible, at, press, settled


@pytest.fixture
def place(serve, tmp_path):
    experiment = studies.image_experiment(tmp_path / "e")
    plan = studies.protocol(items=6, attention_rate=0.2)
    rows = create_study([experiment], tmp_path / "made", plan).study
    return serve(rows=rows.comparisons(), items=6, attention_rate=0.2, material="images")


def begin(page, link):
    page.goto(link)
    assert "Image comparison study" in page.locator(".kicker").inner_text()
    page.get_by_label("I agree to take part").check()
    page.get_by_role("button", name="Agree and go on").click()
    page.get_by_label("Which image is better?").check()
    page.get_by_label("I looked at both and cannot choose").check()
    page.get_by_role("button", name="Check my answers").click()
    page.wait_for_url("**/judge")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(place, visit, scheme):
    page = visit(**PHONE, color_scheme=scheme)
    begin(page, *place.invite())
    assert_accessible(page, "judge")


@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_two_images_stand_side_by_side_below_the_given_quarter(place, visit, screen):
    page = visit(**screen)
    begin(page, *place.invite())
    given, one, other = (page.locator("img.image").nth(each) for each in range(3))
    boxes = [each.bounding_box() for each in (given, one, other)]
    assert boxes[1]["y"] == boxes[2]["y"] > boxes[0]["y"] + boxes[0]["height"]
    assert boxes[1]["x"] + boxes[1]["width"] < boxes[2]["x"]
    assert boxes[1]["width"] == pytest.approx(boxes[1]["height"], abs=1)
    assert boxes[0]["width"] == pytest.approx(4 * boxes[0]["height"], abs=1)
    assert boxes[2]["x"] + boxes[2]["width"] <= screen["viewport"]["width"]
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= screen["viewport"]["width"]
    for image, size in ((given, [320, 80]), (one, [320, 320]), (other, [320, 320])):
        shown = image.evaluate("each => [each.naturalWidth, each.naturalHeight]")
        assert shown == size
        assert image.evaluate("each => getComputedStyle(each).imageRendering") == "pixelated"
    assert [image.get_attribute("alt") for image in (given, one, other)] == [
        "The given upper part of an image, enlarged",
        "Image A: the given upper part with one way in which it goes on, enlarged",
        "Image B: the given upper part with one way in which it goes on, enlarged",
    ]


def test_the_pixels_arrive_as_they_were_made_and_answers_are_kept(place, visit):
    page = visit(**DESKTOP)
    begin(page, *place.invite())
    known = {shown.text for row in place.study.comparisons() for shown in (row.one, row.other)}
    for number in range(1, 7):
        at(page, number)
        addresses = [page.locator(".card img").nth(side).get_attribute("src") for side in (0, 1)]
        assert set(addresses) <= known
        drawn = page.locator(".card img").first.evaluate(
            "each => { const canvas = document.createElement('canvas'); canvas.width = 320;"
            " canvas.height = 320; const pen = canvas.getContext('2d'); pen.drawImage(each, 0, 0);"
            " const all = new Uint32Array(pen.getImageData(0, 0, 320, 320).data.buffer);"
            " return [...new Set(all)]; }"
        )
        levels = {tuple(level.to_bytes(4, "little")) for level in drawn}
        assert levels <= {(*level, 255) for level in studies.LEVELS}
        settled(page)
        press(page, "a")
    page.wait_for_url("**/done")
    kept = place.judgements()
    assert [each.answer for each in kept] == ["first"] * 6
    assert {each.kind for each in kept} == {"scored", "attention"}
