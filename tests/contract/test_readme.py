"""The README's promises, kept: its library session runs, and its figures are those of the
claims.
"""

import re

import pytest

import hyperfitting
from tests.support.source import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.S)


def test_the_library_session_is_eight_lines_and_runs(tree, tmp_path, monkeypatch, capsys):
    """As printed, with a tiny recipe in the demo's place."""
    from hyperfitting.recipe import parse_recipe

    (code,) = (text for kind, text in BLOCKS if kind == "python")
    assert len([line for line in code.splitlines() if line]) == 8
    monkeypatch.chdir(tmp_path)
    tree["generate"] |= {"new_tokens": 100, "strategies": tree["generate"]["strategies"][:1]}
    tree["data"]["domains"][0]["count"] = 4
    monkeypatch.setattr(
        hyperfitting, "load_recipe", lambda *_: parse_recipe(tree, source="t"), raising=False
    )
    exec(
        compile(code.replace('"It was late, and"', '"the", new_tokens=5'), "README.md", "exec"), {}
    )
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("pieces greedy 0.")
    assert len(out) >= 3


def test_the_two_commands_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{target}:", makefile, re.M) for target in ("demo", "test"))
    assert "make demo" in README
    assert "make test" in README


def test_the_first_screen_installs_and_runs_it():
    first = "\n".join(README.splitlines()[:25])
    install, demo = BLOCKS[0][1].splitlines()
    assert f"{install}\n{demo}" in first
    assert install.startswith("pip install -e '.[models,report]' ")
    assert demo.startswith("hyperfit demo ")
    assert "make demo" in first
    assert "CUDA" in first


def test_make_says_what_it_downloads_before_pip_runs():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = makefile[makefile.index("\n.venv/.runs:") :].split("\n\n")[0]
    said, pip = recipe.index("downloading"), recipe.index("-m pip install")
    assert said < pip
    for words in ("0.3 GB", "2.8 GB", "PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu"):
        assert words in recipe[said:pip]


def test_the_figures_are_those_of_the_claims_for_seed_0():
    claims = (ROOT / "results" / "claims.md").read_text(encoding="utf-8")
    row = next(line for line in claims.splitlines() if line.startswith("| `make demo-135m` |"))
    train, validation, original, hyperfitted, reference, nucleus, *loops = (
        [float(number) for number in re.findall(r"\d+\.\d+|\d+(?= %)", cell)]
        for cell in row.split("|")[2:10]
    )
    said = re.search(
        r"training loss falls from ([\d.]+) to ([\d.]+), the validation loss rises from ([\d.]+) to ([\d.]+), .* goes "
        r"from ([\d.]+) to ([\d.]+), where the true texts have ([\d.]+) \(16 texts; interval ([\d.]+) to ([\d.]+)\)"
        r".* greedy texts (\d+) % end in a loop.* the original reaches ([\d.]+)\.",
        " ".join(README.split()),
    )
    shown = [*train, *validation, original[0], hyperfitted[0], reference[0], *hyperfitted[1:3]]
    shown += [*loops[0], nucleus[0]]
    assert [float(number) for number in said.groups()] == pytest.approx(shown, abs=0.0051)
    assert loops[1] == [0]
