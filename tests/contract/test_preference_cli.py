"""`hyperfit preference ...` as a user meets it: what it prints, and one line with exit code 2 for
every wrong input.
"""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hyperfitting.cli import main
from hyperfitting.preference.judges.simulated import read_simulations
from hyperfitting.preference.store import open_store
from hyperfitting.preference.study import Study
from tests.support import studies
from tests.support.cli import refused
from tests.support.spreadsheets import csv_rows


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    return str(studies.experiment(tmp_path_factory.mktemp("experiment") / "e"))


@pytest.fixture
def made(experiment, tmp_path, capsys):
    """The folder of a new study."""
    assert (
        main(
            [
                "preference",
                "create",
                experiment,
                "--out",
                str(tmp_path / "My study"),
                "--per-domain",
                "2",
            ]
        )
        == 0
    )
    capsys.readouterr()
    return str(tmp_path / "My study")


def test_create_says_what_it_compares_and_what_comes_next(experiment, tmp_path, capsys):
    out = str(tmp_path / "My study")
    options = [
        "--per-domain",
        "3",
        "--judgements",
        "2",
        "--attention-rate",
        "0.1",
        "--seed",
        "5",
        "--items",
        "20",
    ]
    command = ["preference", "create", experiment, "--out", out, *options]
    assert main([*command, "--dry-run"]) == 0
    dry = capsys.readouterr().out
    assert "pair     hyperfitted, greedy against reference: 3 fiction, 3 news\n" in dry
    assert "24 comparisons x 2 = 48 judgements" in dry
    assert "next" not in dry
    assert not (tmp_path / "My study").exists()
    assert main(command) == 0
    said = capsys.readouterr().out
    assert said.startswith(dry)
    assert f"next     hyperfit preference invite '{out}' --count 5\n" in said
    study = Study.find(tmp_path / "My study")
    assert (study.protocol.name, study.protocol.seed, study.protocol.items) == ("my-study", 5, 20)
    token = said.split("admin    ")[1].split()[0]
    assert study.is_admin(token)
    assert "never overwritten" in refused(capsys, *command)


def test_invite_lists_and_revokes_links(made, capsys):
    assert (
        main(
            [
                "preference",
                "invite",
                made,
                "--count",
                "2",
                "--label",
                "class",
                "--url",
                "https://x.example/s/",
            ]
        )
        == 0
    )
    links = capsys.readouterr().out.split()
    assert len(links) == 2
    assert links[0].startswith("https://x.example/s/i/")
    assert main(["preference", "invite", made, "--revoke", "1"]) == 0
    assert main(["preference", "invite", made, "--expires", "2d"]) == 0
    capsys.readouterr()
    assert main(["preference", "invite", made, "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["1", "revoked"], ["2", "not"], ["3", "not"]]
    assert "class" in lines[0]
    expires = datetime.fromisoformat(lines[2].split("expires ")[1].split()[0])
    assert 1.9 < (expires - datetime.now(UTC)).total_seconds() / 86400 < 2.1
    assert not [link for link in links if link.split("/")[-1] in "".join(lines)]
    assert main(["preference", "invite", made, "--admin"]) == 0
    assert Study.find(Path(made)).is_admin(capsys.readouterr().out.split()[1])


@pytest.mark.parametrize(
    ("verb", "message"),
    [
        ("invite --revoke 0", "'0' is not a whole number from 1 to 1000000000"),
        ("simulate --annotators 3 --seed -1", "'-1' is not a whole number from 0 to 1000000000"),
        ("analyse --seed -1", "'-1' is not a whole number from 0 to 1000000000"),
        ("judge --url u --model m --parallel 65", "'65' is not a whole number from 1 to 64"),
    ],
)
def test_whole_numbers_have_bounds(verb, message, capsys):
    name, *options = verb.split()
    assert message in refused(capsys, "preference", name, "study", *options)


def test_a_link_with_a_large_number_is_revoked_or_not_there(made, capsys):
    found = refused(capsys, "preference", "invite", made, "--revoke", "10001")
    assert "10001" in found
    assert "not a whole number" not in found


def test_export_holds_every_judgement(made, tmp_path, capsys):
    with open_store(
        Study.find(tmp_path / "My study"),
    ) as store:
        studies.work(store, studies.ready(store), 5)
    for ending in ("jsonl", "csv"):
        assert main(["preference", "export", made, "--out", str(tmp_path / f"j.{ending}")]) == 0
        assert "rows     5 judgements" in capsys.readouterr().out
    rows = [json.loads(line) for line in (tmp_path / "j.jsonl").read_text().splitlines()]
    cells = csv_rows(tmp_path / "j.csv")
    assert [row["assignment"] for row in rows] == [row["assignment"] for row in cells]


def test_an_export_takes_the_place_of_nothing_but_an_export_of_the_same_study(
    made, tmp_path, capsys
):
    with open_store(
        Study.find(tmp_path / "My study"),
    ) as store:
        studies.work(store, studies.ready(store), 5)
    for name in ("j.jsonl", "j.csv"):
        out = tmp_path / name
        for _ in range(2):
            assert main(["preference", "export", made, "--out", str(out)]) == 0
        text = out.read_bytes().decode()
        digest = Study.find(tmp_path / "My study").digest
        noted = (
            text.replace('"study"', '"note": "mine", "study"')
            .replace("study,", "note,study,")
            .replace(f"\n{digest}", f"\nmine,{digest}")
        )
        for mine in ("dear", noted, text.replace(digest, "another")):
            out.write_bytes(mine.encode())
            capsys.readouterr()
            said = refused(capsys, "preference", "export", made, "--out", str(out))
            assert (
                said == f"hyperfit: {out} is there already and is no export of this study: choose "
                "another --out\n"
            )
            assert out.read_bytes().decode() == mine
    held = tmp_path / "My study" / "comparisons.jsonl"
    before = held.read_bytes()
    assert "is no export of this study" in refused(
        capsys, "preference", "export", made, "--out", str(held)
    )
    assert held.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create", "EXPERIMENT"], "--out STUDY is needed"),
        (["create", "EXPERIMENT", "--out", "TMP/x", "--judgements", "none"], "judgements = none"),
        (
            ["create", "EXPERIMENT", "--out", "TMP/x", "--set", "holdminutes=3"],
            "did you mean hold_minutes?",
        ),
        (["create", "EXPERIMENT", "--out", "TMP/x", "--pairs", "a"], "--pairs a: write it as"),
        (
            ["create", "EXPERIMENT", "--out", "TMP/x", "--protocol", "TMP/no.toml"],
            "no.toml: no such file",
        ),
        (["create", "EXPERIMENT", "--plan", "mine.toml"], "--plan is called --protocol now"),
        (["settings", "plan"], "'plan' is called 'protocol' now"),
        (["settings", "taste"], "'taste' is called 'simulation' now"),
        (["settings", "model"], "'model' is called 'llm' now"),
        (["settings", "moods"], "'moods' is none of protocol, simulation, llm, fields"),
        (["create", "EXPERIMENT", "--pairs", "a=b, c=d"], "semicolons between pairs"),
        (["create", "TMP", "--out", "TMP/x"], "no continuations there"),
        (["invite", "TMP"], "holds no study"),
        (["invite", "STUDY", "--count", "0"], "is not a whole number from 1"),
        (["invite", "STUDY", "--expires", "2026-01-01"], "write it as 14d, 6h or"),
        (["invite", "STUDY", "--expires", "soon"], "write it as 14d, 6h or"),
        (["invite", "STUDY", "--revoke", "7"], "there is no invitation 7"),
        (["invite", "STUDY", "--database", "mysql://x/y"], "is kept in SQLite or PostgreSQL"),
        (["export", "STUDY", "--out", "TMP/j.xlsx"], "kept in .jsonl or .csv files"),
        (["export", "STUDY"], "--out"),
        (["simulate", "STUDY", "--annotators", "0"], "is not a whole number from 1"),
        (
            ["simulate", "STUDY", "--annotators", "3", "--strength", "reference"],
            "write it as 'arm=1.5'",
        ),
        (
            ["simulate", "STUDY", "--annotators", "3", "--strength", "nobody=1"],
            "strength of 'nobody': no such arm",
        ),
        (
            ["simulate", "STUDY", "--annotators", "3", "--set", "carless=1"],
            "did you mean careless?",
        ),
        (
            ["simulate", "STUDY", "--annotators", "3", "--set", "careless=2"],
            "careless = 2: it must be at most 1",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line(experiment, made, tmp_path, capsys, arguments, words):
    places = {"EXPERIMENT": experiment, "STUDY": made}
    arguments = [places.get(word, word.replace("TMP", str(tmp_path))) for word in arguments]
    assert words in refused(capsys, "preference", *arguments)
    assert not (tmp_path / "x").exists()


def test_simulate_says_the_truth_and_keeps_it(made, tmp_path, capsys):
    command = [
        "preference",
        "simulate",
        made,
        "--annotators",
        "4",
        "--strength",
        "reference=2",
        "--set",
        "ties=0",
    ]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "rows     " in said
    assert "truth    hyperfitted, greedy against reference: preferred " in said
    (kept,) = read_simulations(Study.find(tmp_path / "My study"))
    assert kept.settings.strengths == {"reference": 2.0}
    assert kept.truth[0].shares[1] == 0.0


def test_settings_are_printed_as_the_document_shows_them(capsys):
    assert main(["preference", "settings"]) == 0
    assert "| `hold_minutes` | `30.0` |" in capsys.readouterr().out


def test_a_study_needs_no_torch(experiment, tmp_path):
    study, rows = str(tmp_path / "s"), str(tmp_path / "j.csv")
    commands = [
        ["create", experiment, "--out", study, "--per-domain", "2"],
        ["invite", study],
        ["simulate", study, "--annotators", "2"],
        ["export", study, "--out", rows],
        ["analyse", study, "--draws", "20"],
        ["analyse", rows, "--draws", "20"],
        ["power", "--contexts", "20", "--studies", "10"],
        ["settings"],
    ]
    code = (
        "import sys\nclass Missing:\n    def find_spec(self, name, *_):\n        if name in "
        "('torch', 'transformers', 'datasets'): raise ModuleNotFoundError(name, "
        "name=name)\nsys.meta_path.insert(0, Missing())\nfrom hyperfitting.cli import "
        f"main\nsys.exit(any(main(['preference', *words]) for words in {commands!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_missing_extra_names_itself(experiment, made):
    code = (
        "import sys\nsys.modules['sqlalchemy'] = None\nfrom hyperfitting.cli import main\n"
        f"sys.exit(main(['preference', 'invite', {made!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "hyperfit: this needs sqlalchemy, which is not installed: pip install "
        "'hyperfitting[preference]'\n"
    )
