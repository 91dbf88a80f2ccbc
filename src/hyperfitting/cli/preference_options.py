"""The options of `hyperfit preference ...`, and the values that they take."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from hyperfitting.cli.values import whole_number

_count = whole_number(1, 10_000)


def study_options(made: argparse.ArgumentParser) -> None:
    """A study's folder and database."""
    made.add_argument(
        "folder",
        type=Path,
        metavar="STUDY",
        help="the folder that `hyperfit preference create` wrote",
    )
    made.add_argument(
        "--database",
        metavar="URL",
        help="postgresql://user@host/database; default: study.sqlite in the folder",
    )


def create_options(made: argparse.ArgumentParser) -> None:
    """Options of `create`."""
    made.add_argument(
        "sources",
        nargs="+",
        type=Path,
        metavar="EXPERIMENT|PAIRS",
        help="folders of experiments or runs with texts; or a .csv, .tsv, .jsonl or .json file of "
        "pairs of texts, with the columns a and b, and context, arm_a, arm_b, domain, group and id "
        "where they are there",
    )
    made.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="a=COLUMN",
        help="what a column of the file is called, such as context=prompt; repeatable",
    )
    made.add_argument(
        "--out", type=Path, metavar="STUDY", help="the study's folder; never overwritten"
    )
    made.add_argument(
        "--protocol",
        type=Path,
        metavar="FILE|NAME",
        help="a .toml file with settings of the protocol, or a shipped one: paper-table-1",
    )
    made.add_argument("--plan", action=_Renamed, new="--protocol")
    for option, (setting, metavar, help_) in PROTOCOL_OPTIONS.items():
        made.add_argument(option, dest=f"protocol_{setting}", metavar=metavar, help=help_)
    _set(made, "change any setting of the protocol; repeatable")
    made.add_argument("--dry-run", action="store_true", help="only print what would be compared")


PROTOCOL_OPTIONS = {
    "--name": ("name", "NAME", "the study's name (that of its folder)"),
    "--pairs": (
        "pairs",
        "reference|all|given|ARM=ARM;...",
        "each arm with the true text, every two arms, or pairs by name",
    ),
    "--per-domain": (
        "per_domain",
        "N",
        "contexts drawn from each domain, or '{ fiction = 9, news = 3 }' (all)",
    ),
    "--tokens": (
        "tokens",
        "N",
        "truncate every text to at most so many tokens (the shorter one's)",
    ),
    "--language": (
        "language",
        "TAG",
        "language of the annotators' pages: ar, de, es, zh-Hans (en)",
    ),
    "--judgements": ("judgements", "K", "judgements that count for each comparison (3)"),
    "--items": ("items", "N", "most items for one annotator, or none for no limit (from `power`)"),
    "--attention-rate": ("attention_rate", "SHARE", "share of attention checks (0.05)"),
    "--repeat-rate": ("repeat_rate", "SHARE", "share of repeats (0.05)"),
    "--seed": ("seed", "N", "seed of contexts, orders and sides (0)"),
}
"""Options of `create` for single settings: the setting, its metavar and its help."""


def invite_options(made: argparse.ArgumentParser) -> None:
    """Options of `invite`."""
    made.add_argument("--count", type=_count, default=1, metavar="N", help="how many links (1)")
    made.add_argument("--label", metavar="WORDS", help="who they are for; deleted if they withdraw")
    made.add_argument(
        "--expires",
        type=_expiry,
        metavar="14d",
        help="days (14d), hours (6h) or a date with its zone; default: never",
    )
    made.add_argument(
        "--url",
        help="address under which browsers reach the study (that of the last `serve`; before the "
        "first one http://127.0.0.1:8000)",
    )
    made.add_argument(
        "--out", type=Path, metavar="FILE", help="a new .csv file for the links of --names"
    )
    what = made.add_mutually_exclusive_group()
    what.add_argument(
        "--names",
        type=Path,
        metavar="FILE",
        help="a link for each name, as CSV that a spreadsheet opens: a name on each line, or the "
        "column `name` of a .csv file",
    )
    what.add_argument("--list", action="store_true", help="list the links, without their tokens")
    what.add_argument("--revoke", type=whole_number(1), metavar="ID", help="make a link invalid")
    what.add_argument(
        "--admin",
        action="store_true",
        help="a new token for the admin; the former one becomes invalid",
    )


def serve_options(made: argparse.ArgumentParser) -> None:
    """Options of `serve`."""
    made.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (%(default)s: this machine only)"
    )
    made.add_argument(
        "--port",
        type=whole_number(1, 65_535, "a port: a whole number"),
        default=8000,
        metavar="N",
        help="port to listen on (%(default)s)",
    )
    made.add_argument(
        "--public-url", metavar="URL", help="address in browsers, such as https://study.example.org"
    )
    made.add_argument(
        "--open-link",
        action="store_true",
        help="serve the open link too, where the protocol allows one",
    )


def simulate_options(made: argparse.ArgumentParser) -> None:
    """Options of `simulate`."""
    made.add_argument(
        "--annotators", type=_count, required=True, metavar="N", help="number of annotators"
    )
    _seed(made, "the annotators and their answers")
    made.add_argument(
        "--strength",
        action="append",
        default=[],
        metavar="ARM=S",
        help="log strength of an arm, such as 'reference=1.5'; repeatable (0)",
    )
    _set(made, "ties, context_spread, annotator_spread, side_bias, careless or seconds; repeatable")


def judge_options(made: argparse.ArgumentParser) -> None:
    """Options of `judge`."""
    made.add_argument("--url", required=True, help="the endpoint, such as http://127.0.0.1:8080/v1")
    made.add_argument(
        "--model", required=True, metavar="NAME", help="name of the model at the endpoint"
    )
    made.add_argument(
        "--prompt",
        type=Path,
        metavar="FILE",
        help="another prompt, with {context}, {first} and {second}",
    )
    made.add_argument(
        "--key-from",
        metavar="VARIABLE",
        help="environment variable with the key, which is not stored",
    )
    made.add_argument(
        "--parallel",
        type=whole_number(1, 64),
        default=4,
        metavar="N",
        help="questions under way at a time (4)",
    )
    _set(
        made,
        "any setting of `hyperfit preference settings llm`, such as pattern, system or "
        "max_completion_tokens; repeatable",
    )


def analyse_options(made: argparse.ArgumentParser) -> None:
    """Options of `analyse`."""
    made.add_argument(
        "what",
        type=Path,
        metavar="STUDY|FILE",
        help="a study's folder, its archive, or judgements in .jsonl or .csv",
    )
    made.add_argument(
        "--source",
        choices=["human", "model", "simulated"],
        help="source of the judgements, where there are several",
    )
    made.add_argument(
        "--judge",
        metavar="NAME",
        help="the language model whose judgements the report details, where there are several",
    )
    made.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="the report's folder (report-SOURCE in or beside it)",
    )
    made.add_argument(
        "--database",
        metavar="URL",
        help="postgresql://user@host/database; default: study.sqlite in the folder",
    )
    made.add_argument(
        "--draws", type=_count, default=2000, metavar="N", help="bootstrap draws (2000)"
    )
    _seed(made, "the bootstrap")


def power_options(made: argparse.ArgumentParser) -> None:
    """Options of `power`."""
    for option, default, help_ in (
        ("--contexts", [60, 100, 300], "contexts, each judged for one pair (60,100,300)"),
        ("--annotators", [10, 20, 30], "annotators (10,20,30)"),
        ("--judgements", [3], "judgements of each comparison (3)"),
    ):
        made.add_argument(option, type=_counts, default=default, metavar="N,N", help=help_)
    made.add_argument(
        "--seconds",
        type=_positive,
        default=40.0,
        metavar="S",
        help="seconds for one judgement (40)",
    )
    made.add_argument(
        "--preferred",
        type=_positive,
        default=0.3,
        metavar="SHARE",
        help="expected share preferred (0.3)",
    )
    made.add_argument(
        "--equal", type=_from_0, default=0.15, metavar="SHARE", help="expected share equal (0.15)"
    )
    made.add_argument(
        "--context-sd",
        type=_from_0,
        default=1.0,
        metavar="SD",
        help="standard deviation of contexts, in log-odds (1.0)",
    )
    made.add_argument(
        "--annotator-sd",
        type=_from_0,
        default=0.5,
        metavar="SD",
        help="standard deviation of annotators, in log-odds (0.5)",
    )
    made.add_argument(
        "--studies",
        type=_count,
        default=400,
        metavar="N",
        help="studies simulated for each line (400)",
    )
    _seed(made, "the simulation")


def _set(made: argparse.ArgumentParser, help_: str) -> None:
    made.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=help_)


def _seed(made: argparse.ArgumentParser, of: str) -> None:
    made.add_argument("--seed", type=whole_number(), default=0, help=f"seed of {of} (0)")


def _counts(text: str) -> list[int]:
    return [_count(part) for part in text.split(",")]


def _from_0(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 on")
    return value


def _positive(text: str) -> float:
    if not (value := _from_0(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0")
    return value


def _expiry(text: str) -> datetime:
    span = re.fullmatch(r"(\d{1,4})([dh])", text)
    if span is not None:
        return datetime.now(UTC) + timedelta(
            **{"days" if span[2] == "d" else "hours": int(span[1])}
        )
    try:
        time = datetime.fromisoformat(text)
        if time.utcoffset() is not None:
            return time
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r}: write it as 14d, 6h or 2026-12-31T18:00+00:00")


TABLE_NAMES = ("protocol", "simulation", "llm", "fields")
_RENAMED_TABLES = {"plan": "protocol", "taste": "simulation", "model": "llm"}


def table_name(text: str) -> str:
    """The name of a table of settings.

    Raises:
        ArgumentTypeError: it is none, or the name of an older version.
    """
    if text in _RENAMED_TABLES:
        raise argparse.ArgumentTypeError(f"{text!r} is called {_RENAMED_TABLES[text]!r} now")
    if text not in TABLE_NAMES:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(TABLE_NAMES)}")
    return text


class _Renamed(argparse.Action):
    """An option with a new name: hidden from the help, and an error that gives the new name."""

    def __init__(self, *names: Any, new: str, **options: Any):
        super().__init__(*names, **{**options, "help": argparse.SUPPRESS})
        self._new = new

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: Any = None
    ) -> NoReturn:
        parser.error(f"{option} is called {self._new} now")


def export_options(made: argparse.ArgumentParser) -> None:
    """Options of `export`."""
    made.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="a .jsonl or .csv file"
    )
    what = made.add_mutually_exclusive_group()
    what.add_argument("--texts", action="store_true", help="add the texts that were compared")
    what.add_argument(
        "--replies",
        action="store_true",
        help="the replies of language models instead, also those without an answer",
    )


def archive_options(made: argparse.ArgumentParser) -> None:
    """Options of `archive`."""
    made.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="a new folder for the archive"
    )
    made.add_argument(
        "--texts", action="store_true", help="keep the texts, where they may be published"
    )


def settings_options(made: argparse.ArgumentParser) -> None:
    """Options of `settings`."""
    made.add_argument(
        "of",
        nargs="?",
        type=table_name,
        default="protocol",
        metavar="|".join(TABLE_NAMES),
        help="a protocol's settings (default), those of simulated annotators or of a language "
        "model as judge; or the fields of exported rows",
    )
