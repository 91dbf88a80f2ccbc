"""Files of a benchmark -> its questions, and a sample of them that a seed decides."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hyperfitting.data.decode import PACKED, decode, read_bytes
from hyperfitting.downstream.task_files import TaskFile, read_task_file
from hyperfitting.errors import DataError
from hyperfitting.seeds import derive_seed

_ENDINGS = tuple(f"{kind}{packed}" for kind in (".jsonl", ".tsv") for packed in ("", *PACKED))


@dataclass(frozen=True)
class Question:
    """One item of a benchmark. `item` is its row in the file, from 1 on; `answer` counts from 0."""

    item: int
    subject: str
    fields: Mapping[str, str]
    choices: tuple[str, ...]
    answer: int

    @cached_property
    def sha256(self) -> str:
        """SHA-256, in hex, of what the item says, without its place in the file."""
        held = [self.subject, dict(self.fields), self.choices, self.answer]
        text = json.dumps(held, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def text(self) -> str:
        """All that the item says, its choices too."""
        return "\n".join([*self.fields.values(), *self.choices])


@dataclass(frozen=True)
class Benchmark:
    """The questions that are asked, and the solved examples, by subject.

    `title` names the part of the benchmark too, where its file holds an unusual one. `files` are
    the SHA-256 of what was read, by name. `left_out` are the rows that were passed over, because a
    choice has no text.
    """

    name: str
    title: str
    task: TaskFile
    questions: tuple[Question, ...]
    examples: tuple[Question, ...]
    files: Mapping[str, str]
    left_out: tuple[int, ...] = ()

    @property
    def sample_sha256(self) -> str:
        """SHA-256, in hex, over all questions in order."""
        joined = "\n".join(f"{each.item} {each.sha256}" for each in self.questions)
        return hashlib.sha256(joined.encode()).hexdigest()

    @property
    def subjects(self) -> list[str]:
        """The subjects, in the order of their first question."""
        return list(dict.fromkeys(each.subject for each in self.questions))


def has_files(name: str, folder: Path) -> bool:
    """Whether a folder holds the items of a benchmark."""
    return _find(read_task_file(name).files, folder) is not None


def read_benchmark(
    name: str, folder: Path, *, limit: int | None = None, seed: int = 0, examples: int = 0
) -> Benchmark:
    """Read one of our benchmarks from a folder of files.

    Args:
        name: of the benchmark.
        folder: holds its files.
        limit: at most so many questions of each subject, those that `seed` draws; None: all.
        seed: decides the sample.
        examples: solved examples that each question needs.

    Raises:
        DataError: a file is missing or of another shape, or there are too few examples; the message
            names file, row and remedy.
    """
    task, files = read_task_file(name), dict[str, str]()
    path = _found(name, task.files, folder)
    held, left_out = _questions(task, path, files)
    if not held:
        raise DataError(f"{name}: {', '.join(files)} holds no item of it: leave the benchmark out")
    questions, shown = sample_questions(held, limit, seed), list[Question]()
    if examples:
        shown, _ = _questions(task, _found(name, task.example_files, folder), files)
        _refuse_too_few_examples(name, questions, shown, examples)
    return Benchmark(
        name, _title(task, path), task, tuple(questions), tuple(shown), files, tuple(left_out)
    )


def _title(task: TaskFile, path: Path) -> str:
    stem = path.name.partition(".")[0]
    part = next((words for file, words in task.parts.items() if Path(file).name == stem), None)
    return task.title if part is None else f"{task.title} ({part})"


def sample_questions(
    questions: Sequence[Question], limit: int | None, seed: int
) -> Sequence[Question]:
    """At most `limit` questions of each subject, in the order of the file.

    A question's place in the draw depends on the seed and on what it says, so a smaller sample is a
    part of a larger one.
    """
    if limit is None:
        return questions
    by_subject: dict[str, list[Question]] = {}
    for each in questions:
        by_subject.setdefault(each.subject, []).append(each)
    kept = {
        each.item
        for held in by_subject.values()
        for each in sorted(held, key=lambda it: (derive_seed(seed, it.sha256), it.item))[:limit]
    }
    return [each for each in questions if each.item in kept]


def _refuse_too_few_examples(
    name: str, questions: Sequence[Question], shown: Sequence[Question], examples: int
) -> None:
    own = {each.sha256 for each in questions}
    for subject in {each.subject for each in questions}:
        held = [each for each in shown if each.subject == subject]
        least = examples + any(each.sha256 in own for each in held)
        if len(held) < least:
            raise DataError(
                f"{name}: {examples} examples are asked for, and its file has {len(held)} of "
                f"{subject}: lower `examples`"
            )


def _found(name: str, stems: Sequence[str], folder: Path) -> Path:
    if not stems:
        raise DataError(f"{name}: there is no file of examples: set `examples` to 0")
    path = _find(stems, folder)
    if path is None:
        tried = " or ".join(f"{stem}.jsonl" for stem in stems)
        raise DataError(
            f"{name}: {folder} holds no {tried} (also .tsv, and {', '.join(PACKED)}): put the file "
            "there, or leave the benchmark out"
        )
    return path


def _find(stems: Sequence[str], folder: Path) -> Path | None:
    tried = (folder / f"{stem}{ending}" for stem in stems for ending in _ENDINGS)
    return next((path for path in tried if path.is_file()), None)


def _questions(
    task: TaskFile, path: Path, files: dict[str, str]
) -> tuple[list[Question], list[int]]:
    """The questions of a file, and the rows that are passed over because a choice has no text."""
    data = read_bytes(path, path.name)
    files[path.name] = hashlib.sha256(data).hexdigest()
    text = decode(data, path, path.name)
    is_table = ".tsv" in path.suffixes
    rows = _table_rows(text, path.name) if is_table else _json_rows(text, path.name)
    read, left_out = _RowReader(task, path), list[int]()
    kept = [(item, row) for item, row in rows if read.is_kept(item, row)]
    questions = []
    for item, row in kept:
        if read.lacks_a_choice(item, row):
            left_out.append(item)
        else:
            questions.append(read.question(item, row))
    return questions, left_out


def _json_rows(text: str, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:  # the second of a line nested too deeply
                raise DataError(
                    f"{name}, row {number}: not JSON: correct or remove the line"
                ) from error
            if not isinstance(row, dict):
                raise DataError(f"{name}, row {number}: not a JSON object with named fields")
            yield number, row


def _table_rows(text: str, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of a table with tabs under a header; `_unquoted` says how quotation marks are read."""
    header, *rows = [line.split("\t") for line in text.rstrip("\n").split("\n")]
    if twice := next((column for column in header if header.count(column) > 1), None):
        raise DataError(f"{name}: its header names {twice!r} twice: name each column once")
    for number, fields in enumerate(_unquoted(rows), 1):
        if len(fields) != len(header):
            raise DataError(
                f"{name}, row {number}: {len(fields)} fields, and the header names "
                f"{len(header)}: correct or remove the line"
            )
        yield number, dict(zip(header, fields, strict=True))


_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def _unquoted(rows: list[list[str]]) -> list[list[str]]:
    """The fields of a table without the quotation marks of a CSV writer.

    Most files of GLUE are raw, and a quotation mark in them is an ordinary character; some were
    written as CSV. It is decided for the whole file, since a raw field may be a whole quotation:
    only if every field with a quotation mark is wrapped in two, and those inside are doubled.
    """
    marked = [field for fields in rows for field in fields if '"' in field]
    if not all(_QUOTED.fullmatch(field) for field in marked):
        return rows
    return [
        [field[1:-1].replace('""', '"') if '"' in field else field for field in fields]
        for fields in rows
    ]


class _RowReader:
    """Rows of one file -> questions; every mistake names the file, the row and the field."""

    def __init__(self, task: TaskFile, path: Path):
        self._task, self._path = task, path

    def is_kept(self, item: int, row: dict[str, Any]) -> bool:
        return all(
            self._column(item, row, (name,)) == value for name, value in self._task.where.items()
        )

    def lacks_a_choice(self, item: int, row: dict[str, Any]) -> bool:
        """Whether a choice is an empty text, but for empty ones at the end, which only fill up a
        row of fewer choices.
        """
        columns = self._task.columns.get("choices")
        value = self._column(item, row, columns) if columns else None
        if not isinstance(value, list) or not any(map(_is_empty, value)):
            return False
        kept = _without_empty_end(value)
        answer = self._column(item, row, self._task.columns["answer"])
        return len(kept) < 2 or any(map(_is_empty, kept)) or answer in range(len(kept), len(value))

    def question(self, item: int, row: dict[str, Any]) -> Question:
        columns = self._task.columns
        texts = {
            field: self._text(item, field, self._column(item, row, names))
            for field, names in columns.items()
            if field not in ("choices", "answer", "subject")
        }
        choices = self._task.labels or self._choices(
            item, self._column(item, row, columns["choices"])
        )
        subject = "all"
        if "subject" in columns:
            subject = self._text(item, "subject", self._column(item, row, columns["subject"]))
        answer = self._answer(item, self._column(item, row, columns["answer"]), len(choices))
        return Question(item, subject, texts, choices, answer)

    def _column(self, item: int, row: dict[str, Any], names: Sequence[str]) -> Any:
        found = next((name for name in names if name in row), None)
        if found is None:
            raise self._mistake(
                item, f"no field {' or '.join(map(repr, names))}; there are: {', '.join(row)}"
            )
        return row[found]

    def _text(self, item: int, field: str, value: Any) -> str:
        if not isinstance(value, str) or not value.strip() or not _is_unicode(value):
            raise self._mistake(item, f"{field} = {json.dumps(value)[:60]} is no text")
        return value

    def _choices(self, item: int, value: Any) -> tuple[str, ...]:
        value = _without_empty_end(value) if isinstance(value, list) else value
        is_list = isinstance(value, list) and all(
            isinstance(each, str) and _is_unicode(each) for each in value
        )
        if not is_list or not 2 <= len(value) <= len(LETTERS):
            raise self._mistake(
                item, f"choices is no list of 2 to {len(LETTERS)} texts: {json.dumps(value)[:60]}"
            )
        return tuple(value)

    def _answer(self, item: int, value: Any, choices: int) -> int:
        known = self._task.values
        if known and str(value) not in known:
            raise self._mistake(item, f"answer = {_shown(value)} is none of {', '.join(known)}")
        found = known[str(value)] if known else value
        if type(found) is not int or not 0 <= found < choices:
            raise self._mistake(
                item, f"answer = {_shown(value)} is no number from 0 to {choices - 1}"
            )
        return found

    def _mistake(self, item: int, words: str) -> DataError:
        return DataError(f"{self._path.name}, row {item}: {words}: correct or remove the row")


def _is_empty(choice: Any) -> bool:
    return isinstance(choice, str) and not choice.strip()


def _without_empty_end(choices: list[Any]) -> list[Any]:
    filled = [number for number, each in enumerate(choices, 1) if not _is_empty(each)]
    return choices[: max(filled, default=0)]


def _is_unicode(text: str) -> bool:
    """Whether a text can be written: JSON can name halves of a character, as `\\ud800`."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _shown(value: Any) -> str:
    return repr(value)[:60]


LETTERS = "ABCDEFGHIJ"
"""Names of the choices in the form `letters`."""
