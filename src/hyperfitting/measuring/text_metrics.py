"""What is measured of each text by itself: every metric of the table that reads a single text.
Needs no torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from hyperfitting.metrics.bleu import dataset_bleu
from hyperfitting.metrics.overlap import TrainingIndex
from hyperfitting.metrics.specs import DataKind, EachText, TextInput, metrics_measured_as
from hyperfitting.metrics.words import words
from hyperfitting.records import Arm, Blocked, Continuation, TextMetrics

TextInputs = Mapping[TextInput, Sequence[Any]]
"""What the metrics read beside the texts themselves: one item for each text, None where it has
none.
"""


def measure_each_text(
    texts: Sequence[Continuation], inputs: TextInputs, *, data: DataKind = "text"
) -> list[TextMetrics]:
    """The metrics of each text, in the order of the texts. What a text is too short for is left out
    of its values.

    Metrics are skipped that are not of this kind of `data`, or whose input is neither read from the
    text nor among the `inputs`.
    """
    return [
        TextMetrics(
            text.variant,
            text.domain,
            text.strategy,
            text.context,
            text.group,
            text.run,
            _values(_own_inputs(text) | {name: each[index] for name, each in inputs.items()}, data),
        )
        for index, text in enumerate(texts)
    ]


def _own_inputs(text: Continuation) -> dict[TextInput, Any]:
    if text.is_image:
        return {"tokens": text.ids}
    return {"tokens": text.ids, "text": text.text, "words": words(text.text)}


def _values(
    inputs: Mapping[TextInput, Any], data: DataKind
) -> dict[str, tuple[tuple[float, float], ...]]:
    found = {
        spec.name: _pairs(how, read)
        for spec, how in metrics_measured_as(EachText, data)
        if (read := inputs.get(how.reads)) is not None and len(read) >= how.least
    }
    return {name: pairs for name, pairs in found.items() if pairs}


def _pairs(how: EachText, read: Any) -> tuple[tuple[float, float], ...]:
    """A metric's sum and count; several where it is taken at several positions, none where it has
    no value.
    """
    value = how.function(read)
    if value is None:
        return ()
    if isinstance(value, list):
        return tuple((float(each), 1.0) for each in value)
    total, count = value if isinstance(value, tuple) else (value, 1.0)
    return ((float(total), float(count)),)


def overlap_inputs(texts: Sequence[Continuation], index: TrainingIndex) -> TextInputs:
    """What each text shares with the training texts; None for an empty one."""
    found = index.search([text.ids for text in texts if text.ids])
    return {"overlap": [next(found) if text.ids else None for text in texts]}


def bleu_inputs(texts: Sequence[Continuation], training_texts: Sequence[str]) -> TextInputs:
    """The BLEU of each text against all training texts together and against the best one; None for
    an empty text.
    """
    scores = zip(
        *dataset_bleu([text.text for text in texts if text.text], training_texts), strict=True
    )
    return {"dataset_bleu": [next(scores) if text.text else None for text in texts]}


def blocked_inputs(
    texts: Sequence[Continuation], strategies: Collection[str], steps: Iterable[Blocked]
) -> TextInputs:
    """At how many tokens of each text the citation blocker forbade the most probable one, and how
    many tokens it has; None for a text that no model wrote with one of the `strategies`, which have
    a blocker.
    """
    forbidden: Counter[tuple[str, str | None, int]] = Counter(
        (step.domain, step.strategy, step.context)
        for step in steps
        if step.changed_greedy and not step.gave_way
    )
    return {
        "blocked": [
            (forbidden[text.domain, text.strategy, text.context], len(text.ids))
            if text.ids and text.strategy in strategies and Arm(text.variant).is_model
            else None
            for text in texts
        ]
    }
