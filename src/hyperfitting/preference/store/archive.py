"""A study as a small folder to commit: all that `analyse` needs, without database and secrets.

The texts are replaced by their SHA-256, unless they may be published.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from hyperfitting import __version__
from hyperfitting.errors import StudyError
from hyperfitting.facts import ArchiveFacts, write_facts
from hyperfitting.files import file_hashes, new_folder, text_in_hash, write_rows, write_text
from hyperfitting.preference.records import BlindedComparison
from hyperfitting.preference.store.judgement_files import (
    CollectedJudgements,
    collected_judgements,
    write_judgements,
)
from hyperfitting.preference.study import Study, StudyFacts, refuse_existing_study


def archive_study(
    study: Study, out: Path, *, texts: bool = False, database: str | None = None
) -> Study:
    """Write the archive of a study to `out`, whole or not at all, and return it.

    It opens as a `Study`: `analyse` writes the same report, with the numbers of the study to the
    bit. With `texts`, the texts of the comparisons are kept.

    Raises:
        StudyError: `out` exists and is not empty, the study is an archive itself, has no judgement
            yet, or its database cannot be opened.
    """
    study.refuse_archive()
    refuse_existing_study(out)
    collected = collected_judgements(study, database=database)
    if not collected.rows:
        raise StudyError(f"{study.folder}: no judgement in it yet, so it cannot be archived")
    with new_folder(out.resolve()) as partial:
        _fill(study, collected, Study(partial), texts=texts)
    return Study.find(out)


def _fill(study: Study, collected: CollectedJudgements, made: Study, *, texts: bool) -> None:
    shutil.copyfile(study.protocol_file, made.folder / study.protocol_file.name)
    if study.simulations_file.is_file():
        shutil.copyfile(study.simulations_file, made.simulations_file)
    known = study.facts.model_dump(include=set(StudyFacts.model_fields))
    write_text(
        made.facts_file, StudyFacts(**known | {"admin_hash": ""}).model_dump_json(indent=1) + "\n"
    )
    write_judgements(made.judgements_file, collected.rows)
    write_rows(made.llm_judges_file, collected.llm_judges)
    if collected.replies:  # they may quote the texts
        hashed = [replace(each, text=text_in_hash(each.text)) for each in collected.replies]
        write_rows(made.llm_replies_file, collected.replies if texts else hashed)
    if texts:
        shutil.copyfile(study.comparisons_file, made.comparisons_file)
    else:
        write_rows(made.comparisons_file, map(_without_texts, study.comparisons()))
    left_out = {} if texts else file_hashes(study.folder, [study.comparisons_file])
    facts = ArchiveFacts(hyperfitting=__version__, texts=texts, left_out=left_out)
    write_facts(made.archive_file, facts)


def _without_texts(row: BlindedComparison) -> BlindedComparison:
    """A comparison with hashes in the place of its texts."""
    one, other = (replace(each, text=text_in_hash(each.text)) for each in (row.one, row.other))
    return replace(row, context_text=text_in_hash(row.context_text), one=one, other=other)
