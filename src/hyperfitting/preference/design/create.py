"""A new study: its protocol from TOML and options, its comparisons from runs, its folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hyperfitting.environment import Environment
from hyperfitting.errors import RecipeError, StudyError
from hyperfitting.preference.design.arms import read_contexts
from hyperfitting.preference.design.comparisons import PairedTexts
from hyperfitting.preference.design.pairing import pair_texts
from hyperfitting.preference.protocol import Protocol
from hyperfitting.preference.settings_input import settings_from
from hyperfitting.preference.study import (
    CleaningFacts,
    Study,
    StudyOrigin,
    refuse_existing_study,
)
from hyperfitting.recipe import read_tree


@dataclass(frozen=True)
class PairPreview:
    """The comparisons of one pair of arms, by domain."""

    one: str
    other: str
    by_domain: dict[str, int]


@dataclass(frozen=True)
class StudyPreview:
    """What a study compares. `tokens_*`: lengths of the truncated texts. `left_out`: comparisons by
    reason.
    """

    protocol: Protocol
    pairs: tuple[PairPreview, ...]
    contexts: int
    comparisons: int
    checks: int
    tokens_least: int
    tokens_median: int
    tokens_most: int
    left_out: dict[str, int]
    cleaning: CleaningFacts


@dataclass(frozen=True)
class CreatedStudy:
    """A new study and the admin's token, which is not stored."""

    study: Study
    preview: StudyPreview
    admin_token: str


def preview_study(runs: Sequence[Path], protocol: Protocol) -> StudyPreview:
    """What a study of these runs would compare. Nothing is written.

    Args:
        runs: folders of experiments or single runs with continuations.
        protocol: the protocol of the study.

    Raises:
        StudyError: a folder has no continuations, or the protocol does not fit them.
    """
    return preview_of(pair_texts(read_contexts(runs), protocol), protocol)


def create_study(runs: Sequence[Path], out: Path, protocol: Protocol) -> CreatedStudy:
    """Create a study in the folder `out`, whole or not at all.

    Args:
        runs: folders of experiments or single runs with continuations.
        out: the new folder; it must not exist, or be empty.
        protocol: the protocol of the study, fixed from now on.

    Raises:
        StudyError: `out` is taken, a folder has no continuations, or the protocol does not fit
            them.
    """
    refuse_existing_study(out)
    paired = pair_texts(read_contexts(runs), protocol)
    study, token = Study.create(out, protocol, paired.comparisons, _origin(paired))
    return CreatedStudy(study, preview_of(paired, protocol), token)


def _origin(paired: PairedTexts) -> StudyOrigin:
    return StudyOrigin(
        runs=tuple(
            sorted({shown.run for row in paired.comparisons for shown in (row.one, row.other)})
        ),
        pairs=tuple(paired.pairs),
        left_out=dict(sorted(paired.left_out.items())),
        cleaning=paired.cleaning,
        environment=asdict(Environment.of_this_process()),
    )


def preview_of(paired: PairedTexts, protocol: Protocol) -> StudyPreview:
    """The summary of paired texts."""
    scored = [row for row in paired.comparisons if row.kind == "scored"]
    counts = Counter((row.one.arm, row.other.arm, row.domain) for row in scored)
    domains = sorted({row.domain for row in scored})
    tokens = sorted(row.one.tokens for row in scored)
    return StudyPreview(
        protocol=protocol,
        pairs=tuple(
            PairPreview(*pair, {each: counts[*pair, each] for each in domains})
            for pair in paired.pairs
        ),
        contexts=len({row.context for row in scored}),
        comparisons=len(scored),
        checks=len(paired.comparisons) - len(scored),
        tokens_least=tokens[0],
        tokens_median=tokens[len(tokens) // 2],
        tokens_most=tokens[-1],
        left_out=dict(paired.left_out),
        cleaning=paired.cleaning,
    )


def read_protocol(
    file: Path | None,
    options: Mapping[str, str],
    overrides: Sequence[str] = (),
    *,
    default_name: str | None = None,
) -> Protocol:
    """A protocol from a TOML file, options by name, and overrides such as `analysis.level=0.9`;
    later ones win.

    Raises:
        StudyError: the file, the setting or the value that is wrong, in one line.
    """
    if file is not None and not file.is_file():
        raise StudyError(f"{file}: no such file")
    try:
        tree = {} if file is None else read_tree(file)
    except RecipeError as error:
        raise StudyError(
            str(error).replace("not a readable recipe", "not a readable protocol")
        ) from error
    if "pairs" in options:
        tree["pairs"] = _pairs(options["pairs"])
    if default_name is not None:
        tree.setdefault("name", default_name)
    given = [f"{name}={text}" for name, text in options.items() if name != "pairs"]
    return settings_from(Protocol, tree, [*given, *overrides], str(file or "the protocol"))


def _pairs(text: str) -> str | list[list[str]]:
    """`reference`, `all`, or pairs of arms such as `hyperfitted, greedy=original, greedy`, with
    semicolons between.
    """
    if text in ("reference", "all"):
        return text
    pairs = [[arm.strip() for arm in pair.split("=")] for pair in text.split(";")]
    if any(len(pair) != 2 or not all(pair) for pair in pairs):
        raise StudyError(
            f"--pairs {text}: write it as reference, all, or 'one arm=another arm'; semicolons "
            "between pairs"
        )
    return pairs
