"""A new study: its protocol from TOML and options, its comparisons from runs or from a file of
pairs, its folder.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from hyperfitting.assets import asset_path
from hyperfitting.data.formats import format_of
from hyperfitting.environment import Environment
from hyperfitting.errors import RecipeError, StudyError
from hyperfitting.preference.analysis.workload import Workload, workload
from hyperfitting.preference.design.arms import read_contexts
from hyperfitting.preference.design.comparisons import PairedTexts, without_spare_checks
from hyperfitting.preference.design.given_pairs import pair_given
from hyperfitting.preference.design.pairing import pair_texts
from hyperfitting.preference.design.pairs_file import PAIR_FORMATS, PairsFile, read_pairs
from hyperfitting.preference.design.picture_pairs import pair_pictures
from hyperfitting.preference.protocol import Protocol
from hyperfitting.preference.records import PairColumn
from hyperfitting.preference.settings_input import settings_from
from hyperfitting.preference.study import (
    CleaningFacts,
    FileFacts,
    Study,
    StudyOrigin,
    refuse_existing_study,
)
from hyperfitting.preference.wording import default_words
from hyperfitting.recipe import read_tree

Columns = Mapping[PairColumn, str]


@dataclass(frozen=True)
class PairPreview:
    """The comparisons of one pair of arms, by domain."""

    one: str
    other: str
    by_domain: dict[str, int]


@dataclass(frozen=True)
class StudyPreview:
    """What a study compares. `tokens_*`: lengths of the texts as they are shown, in `unit`.
    `left_out`: comparisons by reason.
    """

    protocol: Protocol
    pairs: tuple[PairPreview, ...]
    contexts: int
    comparisons: int
    checks: int
    unit: Literal["tokens", "words"]
    tokens_least: int
    tokens_median: int
    tokens_most: int
    left_out: dict[str, int]
    cleaning: CleaningFacts
    work: Workload


@dataclass(frozen=True)
class CreatedStudy:
    """A new study and the admin's token, which is not stored."""

    study: Study
    preview: StudyPreview
    admin_token: str


def preview_study(
    sources: Sequence[Path], protocol: Protocol, *, columns: Columns | None = None
) -> StudyPreview:
    """What a study of these texts would compare. Nothing is written.

    Args:
        sources: folders of experiments or single runs with continuations, or one file of pairs.
        protocol: the protocol of the study; what it leaves open fits the texts afterwards.
        columns: what the columns of the file are called.

    Raises:
        StudyError: a folder has no continuations, rows of the file cannot be used, or the protocol
            does not fit them.
    """
    return _design(sources, protocol, columns or {}).preview


def create_study(
    sources: Sequence[Path], out: Path, protocol: Protocol, *, columns: Columns | None = None
) -> CreatedStudy:
    """Create a study in the folder `out`, whole or not at all.

    Args:
        sources: folders of experiments or single runs with continuations, or one file of pairs.
        out: the new folder; it must not exist, or be empty.
        protocol: the protocol of the study; what it leaves open fits the texts, and is fixed from
            now on too.
        columns: what the columns of the file are called.

    Raises:
        StudyError: `out` is taken, a folder has no continuations, rows of the file cannot be used,
            or the protocol does not fit them.
    """
    refuse_existing_study(out)
    design = _design(sources, protocol, columns or {})
    study, token = Study.create(out, design.protocol, design.paired.comparisons, design.origin)
    return CreatedStudy(study, design.preview, token)


@dataclass(frozen=True)
class _Design:
    """A study before it is written: its protocol with all that was left open, and its
    comparisons.
    """

    protocol: Protocol
    paired: PairedTexts
    origin: StudyOrigin
    preview: StudyPreview


def _design(sources: Sequence[Path], protocol: Protocol, columns: Columns) -> _Design:
    file = _file_of(sources, columns)
    if file is None:
        contexts = read_contexts(sources)
        are_images = any(each.palette is not None for each in contexts)
        _refuse_other_material(protocol, are_images=are_images)
        if are_images:
            protocol = with_defaults(protocol, {"material": "images"})
            paired = pair_pictures(contexts, protocol)
        else:
            paired = pair_texts(contexts, protocol)
    else:
        _refuse_other_material(protocol, are_images=False)
        protocol = with_defaults(protocol, _file_defaults(file))
        paired = pair_given(file, protocol)
        protocol = _without_impossible_checks(protocol, paired)
    work = _workload(paired, protocol)
    protocol = with_defaults(protocol, {"items": work.items, "replace_careless": True})
    paired = replace(paired, comparisons=without_spare_checks(paired.comparisons, protocol))
    origin = StudyOrigin(
        runs=tuple(
            sorted({shown.run for row in paired.comparisons for shown in (row.one, row.other)})
        ),
        pairs=tuple(paired.pairs),
        left_out=dict(sorted(paired.left_out.items())),
        cleaning=paired.cleaning,
        file=file and FileFacts(name=file.name, sha256=file.sha256, columns=file.columns),
        environment=asdict(Environment.of_this_process()),
    )
    preview = preview_of(paired, protocol, "tokens" if file is None else "words", work=work)
    return _Design(protocol, paired, origin, preview)


def _refuse_other_material(protocol: Protocol, *, are_images: bool) -> None:
    if "material" in protocol.model_fields_set and (protocol.material == "images") != are_images:
        kind = "images" if are_images else "texts"
        raise StudyError(
            f"material = {protocol.material}: what is compared here are {kind}: leave it out"
        )


def _workload(paired: PairedTexts, protocol: Protocol) -> Workload:
    pairs = Counter(
        (row.one.arm, row.other.arm) for row in paired.comparisons if row.kind == "scored"
    )
    return workload(max(pairs.values()), pairs.total(), protocol)


def _file_of(sources: Sequence[Path], columns: Columns) -> PairsFile | None:
    """The file of pairs among the sources; None where they are folders.

    Raises:
        StudyError: a file and something else, columns without a file, or rows that cannot be used.
    """
    files = [each for each in sources if each.is_file() or format_of(each) in PAIR_FORMATS]
    if not files:
        if columns:
            raise StudyError("--column is for a file of pairs, and there are only folders")
        return None
    if len(sources) > 1:
        raise StudyError(
            f"{files[0]}: a study is of one file of pairs, or of folders, not of several things: "
            "put all pairs into one file"
        )
    return read_pairs(files[0], columns)


def _file_defaults(file: PairsFile) -> dict[str, Any]:
    """What a protocol leaves open for pairs from a file: they are shown whole, as they stand."""
    material = "answers" if "context" in file.columns else "texts"
    return {"pairs": "given", "clean": "nothing", "shortest_tokens": 1, "material": material}


def with_defaults(protocol: Protocol, defaults: Mapping[str, Any]) -> Protocol:
    """A protocol with these values in the place of those that nobody has set."""
    given = protocol.model_dump(exclude_unset=True)
    if "words" in given:  # all of them count as set
        usual = default_words(protocol.language, protocol.material, given.get("question"))
        given["words"] = dict(given["words"].items() - usual.words.model_dump().items())
    return Protocol.model_validate({**defaults, **given})


def _without_impossible_checks(protocol: Protocol, paired: PairedTexts) -> Protocol:
    """A protocol without attention checks where no text has the words for one, unless they were
    asked for.

    Raises:
        StudyError: they were.
    """
    if not protocol.attention_rate or any(row.kind != "scored" for row in paired.comparisons):
        return protocol
    if "attention_rate" in protocol.model_fields_set:
        raise StudyError(
            "attention checks need texts of some words, and there are none: set attention_rate = 0"
        )
    return protocol.model_copy(update={"attention_rate": 0.0})


def preview_of(
    paired: PairedTexts,
    protocol: Protocol,
    unit: Literal["tokens", "words"] = "tokens",
    *,
    work: Workload | None = None,
) -> StudyPreview:
    """The summary of paired texts."""
    scored = [row for row in paired.comparisons if row.kind == "scored"]
    counts = Counter((row.one.arm, row.other.arm, row.domain) for row in scored)
    domains = sorted({row.domain for row in scored})
    lengths = sorted(shown.tokens for row in scored for shown in (row.one, row.other))
    return StudyPreview(
        protocol=protocol,
        pairs=tuple(
            PairPreview(*pair, {each: counts[*pair, each] for each in domains})
            for pair in paired.pairs
        ),
        contexts=len({row.context for row in scored}),
        comparisons=len(scored),
        checks=len(paired.comparisons) - len(scored),
        unit=unit,
        tokens_least=lengths[0],
        tokens_median=lengths[len(lengths) // 2],
        tokens_most=lengths[-1],
        left_out=dict(paired.left_out),
        cleaning=paired.cleaning,
        work=work or _workload(paired, protocol),
    )


def read_protocol(
    file: Path | None,
    options: Mapping[str, str],
    overrides: Sequence[str] = (),
    *,
    out: Path | None = None,
) -> Protocol:
    """A protocol from a TOML file or a shipped one by its name, options by name, and overrides such
    as `analysis.level=0.9`; later ones win. One without a name is called like the folder `out`.

    Raises:
        StudyError: the file, the setting or the value that is wrong, in one line.
    """
    try:
        tree = {} if file is None else read_tree(_protocol_file(file), "protocol")
    except RecipeError as error:
        raise StudyError(str(error)) from error
    if "pairs" in options:
        tree["pairs"] = _pairs(options["pairs"])
    tree.setdefault("name", _name_of(out))
    given = [f"{name}={text}" for name, text in options.items() if name != "pairs"]
    return settings_from(Protocol, tree, [*given, *overrides], str(file or "the protocol"))


def _name_of(folder: Path | None) -> str:
    """A folder's name in the letters that a protocol's name may have."""
    words = "study" if folder is None else folder.name.lower()
    return re.sub(r"[^a-z0-9_-]+", "-", words).strip("-_")[:60] or "study"


def _protocol_file(name_or_path: Path) -> Path:
    """A file of this name, else the shipped protocol that is called so."""
    shipped = {path.stem: path for path in sorted(asset_path("protocols").glob("*.toml"))}
    if not name_or_path.is_file() and str(name_or_path) not in shipped:
        raise StudyError(
            f"{name_or_path}: no such file; shipped protocols are called {', '.join(shipped)}"
        )
    return name_or_path if name_or_path.is_file() else shipped[str(name_or_path)]


def _pairs(text: str) -> str | list[list[str]]:
    """`reference`, `all`, `given`, or pairs of arms such as `hyperfitted, greedy=original, greedy`,
    with semicolons between.
    """
    if text in ("reference", "all", "given"):
        return text
    pairs = [[arm.strip() for arm in pair.split("=")] for pair in text.split(";")]
    if any(len(pair) != 2 or not all(pair) for pair in pairs):
        raise StudyError(
            f"--pairs {text}: write it as reference, all, given, or 'one arm=another arm'; "
            "semicolons between pairs"
        )
    return pairs
