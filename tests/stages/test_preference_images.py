"""A preference study of images: the same study, whose texts are the addresses of PNG files."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from hyperfitting.cli.preference_text import preview_lines
from hyperfitting.errors import StudyError
from hyperfitting.preference.design.create import create_study, preview_study
from hyperfitting.preference.judges.endpoint import LlmJudgeSettings
from hyperfitting.preference.judges.llm import judge_with_llm
from hyperfitting.preference.judges.simulated import SimulationSettings, simulate
from hyperfitting.preference.study import Study
from hyperfitting.report.preference.study import report_preference
from tests.support import studies

pytestmark = pytest.mark.pictures

SIDE = 8
ENLARGED = 40


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    return studies.image_experiment(tmp_path_factory.mktemp("experiment") / "e")


@pytest.fixture(scope="module")
def study(experiment, tmp_path_factory):
    plan = studies.protocol(attention_rate=0.1, pairs="all")
    return create_study([experiment], tmp_path_factory.mktemp("study") / "s", plan).study


def pixels(address):
    start, data = address.split(",")
    assert start == "data:image/png;base64"
    large = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    small = large[::ENLARGED, ::ENLARGED]
    assert (np.repeat(np.repeat(small, ENLARGED, 0), ENLARGED, 1) == large).all()
    return small


def written(experiment):
    """The whole images, as pixels, by arm and context."""
    found = {}
    for run in ("original", "hyperfitted"):
        for line in (experiment / run / "continuations.jsonl").read_text().splitlines():
            row = json.loads(line)
            arm = row["variant"] + (f", {row['strategy']}" if row["strategy"] else "")
            ids = np.array([*row["context_ids"][1:], *row["ids"]]).reshape(SIDE, SIDE)
            found[arm, f"pictures-{row['context']}"] = np.array(studies.LEVELS)[ids]
    return found


def test_whole_images_are_shown_lossless_beside_the_given_quarter(study, experiment):
    true = written(experiment)
    scored = [row for row in study.comparisons() if row.kind == "scored"]
    assert len(scored) == 18  # three pairs of arms on six contexts
    for row in scored:
        for shown in (row.one, row.other):
            assert (pixels(shown.text) == true[shown.arm, row.context]).all()
            assert shown.tokens == SIDE * SIDE * 3 // 4
            assert 0 < shown.ttr <= 16 / 48
        given = pixels(row.context_text)
        assert given.shape == (SIDE // 4, SIDE, 3)
        assert (given == true[row.one.arm, row.context][: SIDE // 4]).all()


def test_a_check_shows_a_true_image_and_its_written_pixels_in_random_order(study, experiment):
    true = written(experiment)
    checks = [row for row in study.comparisons() if row.kind == "attention"]
    assert checks
    for row in checks:
        assert (row.one.arm, row.other.arm) == ("reference", "shuffled")
        good, worse = pixels(row.one.text), pixels(row.other.text)
        assert (good == true["reference", row.context]).all()
        assert (worse[:2] == good[:2]).all()
        assert (worse[2:] != good[2:]).any()
        assert sorted(map(tuple, worse[2:].reshape(-1, 3))) == sorted(
            map(tuple, good[2:].reshape(-1, 3))
        )


def test_the_words_are_about_images(study):
    assert study.protocol.material == "images"
    assert study.protocol.question == "Which image is better?"
    assert study.protocol.words.context == "The upper part"
    assert "This study compares images" in study.protocol.consent
    assert study.protocol.test[1].choices[1] == "If both images are odd"
    assert Study.find(study.folder).digest == study.digest


def test_the_report_is_about_images(experiment, tmp_path):
    made = create_study([experiment], tmp_path / "study", studies.protocol()).study
    simulate(made, 6, SimulationSettings(), seed=0)
    page = report_preference(made.folder, draws=50).page.read_text(encoding="utf-8")
    assert "was preferred to, or found equal to, the true image in" in page
    assert "true text" not in page
    assert "these texts" not in page


def test_a_seed_makes_the_same_study(study, experiment, tmp_path):
    again = create_study([experiment], tmp_path / "again", study.protocol).study
    assert again.comparisons() == study.comparisons()


def test_the_preview_speaks_of_images(experiment):
    lines = list(preview_lines(preview_study([experiment], studies.protocol())))
    assert (
        "images   6 contexts; both of a pair shown whole, 48 pixels below the given rows" in lines
    )
    assert not any(line.startswith(("texts", "cleaned")) for line in lines)


def test_the_same_image_twice_is_left_out_and_counted(experiment, tmp_path):
    other = studies.image_experiment(tmp_path / "e")
    (other / "hyperfitted" / "continuations.jsonl").write_text(
        (other / "original" / "continuations.jsonl")
        .read_text()
        .replace('"variant": "original"', '"variant": "hyperfitted"')
    )
    plan = studies.protocol(pairs=(("hyperfitted, greedy", "original, greedy"),))
    with pytest.raises(StudyError, match="nothing is left to compare: 6 the same image twice"):
        preview_study([other], plan)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"tokens": 20}, "tokens = 20: images are shown whole: leave it out"),
        ({"material": "texts"}, "material = texts: what is compared here are images: leave it out"),
        ({"arms": ("x",)}, "arms: there is no 'x' in these runs"),
        ({"per_domain": 7}, "per_domain = 7: the domain 'pictures' has 6 contexts"),
    ],
)
def test_what_does_not_fit_images_is_refused_in_a_line(experiment, settings, why):
    with pytest.raises(StudyError, match=why) as caught:
        preview_study([experiment], studies.protocol(**settings))
    assert "\n" not in str(caught.value)


def test_texts_and_images_and_other_colours_are_not_mixed(experiment, tmp_path):
    texts = studies.experiment(tmp_path / "texts")
    larger = studies.image_experiment(tmp_path / "larger", side=12)
    for other in (texts, larger):
        with pytest.raises(StudyError, match="these runs do not compare: some continue images"):
            preview_study([experiment, other], studies.protocol())
    with pytest.raises(StudyError, match="material = images: what is compared here are texts"):
        preview_study([texts], studies.protocol(material="images"))
    bare = studies.image_experiment(tmp_path / "bare")
    (bare / "data" / "preprocessor_config.json").unlink()
    with pytest.raises(StudyError, match="the colours of its images are missing"):
        preview_study([bare], studies.protocol())


def test_a_language_model_is_not_asked_about_images(study):
    settings = LlmJudgeSettings(url="http://127.0.0.1:9/v1", model="m")
    with pytest.raises(StudyError, match="it compares images, and a language model is asked about"):
        judge_with_llm(study, settings)
