"""Score texts with a loaded model: losses, ranks and hidden states.

Texts may differ in length. Those of like length are read together, so that little is padded, and
padding stands on the right, where a causal model does not look back from.

Shapes: N texts of T tokens, S = T - 1 predicted tokens of a text, B texts of a batch, M predicted
tokens of all texts, V vocabulary, H hidden units, C tokens of a chunk of logits, P of a part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from hyperfitting.errors import ModelError
from hyperfitting.metrics.token_scores import TokenScores, rank_under, target_scores
from hyperfitting.models.adapt.head import head_accepts_chunks
from hyperfitting.models.chunked_logits import read_in_chunks
from hyperfitting.models.devices import Precision, device_of
from hyperfitting.models.stepping import accepts

_Rows = Sequence[Sequence[int]] | Sequence[Tensor]

_PART_BYTES = 2**20
"""Logits are scored in parts of this size, which stay in a processor's cache: whole chunks take
twice the time. A GPU scores whole chunks.
"""

_NO_STATES = np.zeros((0, 0), np.float32)


@dataclass(frozen=True)
class ScoredText:
    """What a model says of every token of a text but the first; tensors of shape (S,) on the CPU.

    `choice_ranks` are the ranks (`rank_under`) of other models' choices under this model, a tensor
    for each of them. `last_H` is the state of the last token after the last layer, in float32; None
    where it was not asked for, and for a model whose head does not accept chunks.
    """

    scores: TokenScores
    choice_ranks: tuple[Tensor, ...] = ()
    last_H: Tensor | None = None


def score_texts(
    model: nn.Module,
    ids_NT: NDArray[Any] | Tensor,
    *,
    batch_blocks: int,
    precision: Precision = "fp32",
) -> TokenScores:
    """`score_rows` of N equally long texts: tensors of shape (N, T - 1) on the CPU."""
    rows = list(torch.as_tensor(ids_NT))
    found = score_rows(model, rows, batch_texts=batch_blocks, precision=precision)
    return stack_scores([each.scores for each in found])


def stack_scores(scores: Sequence[TokenScores]) -> TokenScores:
    """The scores of N equally long texts as one: tensors of shape (N, T - 1)."""
    columns = ([getattr(each, field.name) for each in scores] for field in fields(TokenScores))
    return TokenScores(*map(torch.stack, columns))


@torch.no_grad()
def score_rows(
    model: nn.Module,
    rows: _Rows,
    *,
    batch_texts: int,
    precision: Precision = "fp32",
    choices: Sequence[Sequence[Tensor]] = (),
    keep_last: bool = False,
    accepts_chunks: bool | None = None,
    advance: Callable[[int], None] = lambda texts: None,
) -> list[ScoredText]:
    """Score every token but the first of each text; each text is read once.

    Softmax and scores are computed in float32, a few tokens at a time. The logits of a whole batch
    are in memory only if the model's head does not accept chunks.

    Args:
        model: reads the texts.
        rows: the ids of each text.
        batch_texts: texts read together.
        precision: in which the model computes.
        choices: of other models, for each of them the `TokenScores.top1_id` of every text, to be
            ranked (Li et al. 2026, the rank map).
        keep_last: give the last hidden states too.
        accepts_chunks: what `accepts_chunks_of` said of the model; none: it is tried now.
        advance: told how many texts have been read, after each batch.

    Raises:
        ValueError: a model's choices are not one for every predicted token.
    """
    sizes = [max(0, len(row) - 1) for row in rows]
    _refuse_other_sizes(choices, sizes)
    order = _longest_first(sizes)
    batches = _batches([text for text in order if sizes[text]], batch_texts)
    if accepts_chunks is None:
        accepts_chunks = accepts_chunks_of(model, rows, precision)
    # Filled in place: results allocated between the batches would fragment the memory, which would
    # keep growing.
    dtypes = [*[torch.float32] * 5, *[torch.int64] * (2 + len(choices))]
    columns = [torch.empty(sum(sizes), dtype=dtype) for dtype in dtypes]
    last: dict[int, Tensor] = {}
    start = 0
    for batch in batches:
        others = [[own[text] for text in batch] for own in choices]
        last_BH, parts = _score_batch(model, rows, batch, others, precision, accepts_chunks)
        for part in parts:
            for column_M, each_P in zip(columns, part, strict=True):
                column_M[start : start + len(each_P)] = each_P
            start += len(part[0])
        if keep_last and last_BH is not None:
            last |= dict(zip(batch, last_BH, strict=True))
        advance(len(batch))
    split = zip(
        *(torch.split(column_M, [sizes[i] for i in order]) for column_M in columns), strict=True
    )
    found = {
        text: ScoredText(TokenScores(*own[:7]), own[7:], last.get(text))
        for text, own in zip(order, split, strict=True)
    }
    return [found[text] for text in range(len(rows))]


@dataclass(frozen=True)
class ScoredContinuation:
    """What a model says of the tokens that continue a text: their summed cross-entropy in nats, and
    whether each of them is the greedy choice after those before it.
    """

    loss: float
    is_greedy: bool


@torch.no_grad()
def score_continuations(
    model: nn.Module,
    pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
    *,
    batch_texts: int,
    accepts_chunks: bool | None = None,
) -> list[ScoredContinuation]:
    """Score only the tokens that continue each text; pairs of the ids of a text and of what
    continues it.

    Continuations of one text that differ in their last token only, such as the letters of a
    question with choices, are scored by one reading. Softmax in float32. `batch_texts` are read
    together; `accepts_chunks` is as in `score_rows`.

    Raises:
        ValueError: a text or a continuation is empty.
    """
    if not all(text and more for text, more in pairs):
        raise ValueError("a continuation needs a text before it, and a token")
    readings: dict[tuple[int, ...], list[int]] = {}
    for number, (text, more) in enumerate(pairs):
        readings.setdefault((len(text), *text, *more[:-1]), []).append(number)
    asked = list(readings.values())
    rows = [[*pairs[each[0]][0], *pairs[each[0]][1]] for each in asked]
    if accepts_chunks is None:
        accepts_chunks = accepts_chunks_of(model, rows)
    found: dict[int, ScoredContinuation] = {}
    for batch in _batches(_longest_first([len(row) for row in rows]), batch_texts):
        targets = [[pairs[number][1] for number in asked[each]] for each in batch]
        starts = [len(pairs[asked[each][0]][0]) for each in batch]
        scored = _score_targets(model, rows, batch, starts, targets, accepts_chunks)
        found |= dict(
            zip([number for each in batch for number in asked[each]], scored, strict=True)
        )
    return [found[number] for number in range(len(pairs))]


def _score_targets(
    model: nn.Module,
    rows: _Rows,
    batch: Sequence[int],
    starts: Sequence[int],
    targets: Sequence[Sequence[Sequence[int]]],
    accepts_chunks: bool,
) -> list[ScoredContinuation]:
    """The scores of all targets of a batch, row after row. The targets of a row are equally long
    and begin at its token `start`.
    """
    ids_BT, lengths_B = _padded(model, rows, batch)
    place_S = torch.arange(1, ids_BT.shape[1], device=ids_BT.device)
    starts_B = torch.tensor(starts, device=ids_BT.device)
    wanted_BS = (place_S < lengths_B[:, None]) & (place_S >= starts_B[:, None])
    _, chunks = read_in_chunks(model, ids_BT, wanted_BS, "fp32", accepts_chunks=accepts_chunks)
    most = max(map(len, targets))  # a row with fewer targets repeats its first
    filled = [[*each, *[each[0]] * (most - len(each))] for each in targets]
    target_NK = torch.cat([torch.tensor(each).T for each in filled]).to(ids_BT.device)
    losses, greedy, start = [], [], 0
    for logits_CV in chunks:
        part_CK, logits_CV = target_NK[start : start + len(logits_CV)], logits_CV.float()
        losses.append(logits_CV.logsumexp(-1, keepdim=True) - logits_CV.gather(-1, part_CK))
        greedy.append(logits_CV.argmax(-1, keepdim=True) == part_CK)
        start += len(logits_CV)
    sizes = [len(each[0]) for each in targets]
    losses_by_row, greedy_by_row = (
        torch.split(torch.cat(each), sizes) for each in (losses, greedy)
    )
    by_row = zip(targets, losses_by_row, greedy_by_row, strict=True)
    return [
        ScoredContinuation(float(loss_LK[:, k].double().sum()), bool(greedy_LK[:, k].all()))
        for own, loss_LK, greedy_LK in by_row
        for k in range(len(own))
    ]


@torch.no_grad()
def accepts_chunks_of(model: nn.Module, rows: _Rows, precision: Precision = "fp32") -> bool:
    """Whether the model's head accepts chunks of hidden states, tried on the first tokens of the
    longest text; false of texts of which no token is predicted.
    """
    longest = _longest_first([len(row) for row in rows])[:1]
    if not longest or len(rows[longest[0]]) < 2:
        return False
    return head_accepts_chunks(model, _padded(model, rows, longest)[0], precision)


@torch.no_grad()
def last_hidden_states(
    model: nn.Module, rows: Sequence[Sequence[int]], *, batch_texts: int
) -> NDArray[np.float32]:
    """The hidden state of each text's last token after the last layer; (N, H), float32, on the CPU.

    Texts of like length are read together, padded on the right, where a causal model does not look
    back from.

    Raises:
        ValueError: a text is empty.
        ModelError: the model has no body that returns hidden states.
    """
    if not all(rows):
        raise ValueError("an empty text has no last token")
    last: dict[int, Tensor] = {}
    for batch in _batches(_longest_first([len(ids) for ids in rows]), batch_texts):
        ids_BT, lengths_B = _padded(model, rows, batch)
        last_BH = _last_states(_hidden_states(model, ids_BT), lengths_B)
        last |= dict(zip(batch, last_BH, strict=True))
    return np.stack([last[text].numpy() for text in range(len(rows))]) if rows else _NO_STATES


def _hidden_states(model: nn.Module, ids_BT: Tensor) -> Tensor:
    body: Any = getattr(model, "base_model", None)
    output = (
        body(ids_BT, use_cache=False) if body is not None and accepts(body, "use_cache") else None
    )
    hidden_BTH = getattr(output, "last_hidden_state", None)
    if not isinstance(hidden_BTH, Tensor):
        raise ModelError(
            f"{type(model).__name__} gives no hidden states: name another model for them"
        )
    return hidden_BTH


def _longest_first(sizes: Sequence[int]) -> list[int]:
    """The numbers of the texts, so that too large a batch fails at once; equally long ones in
    order.
    """
    return sorted(range(len(sizes)), key=lambda text: -sizes[text])


def _batches(order: Sequence[int], batch_texts: int) -> list[Sequence[int]]:
    return [order[start : start + batch_texts] for start in range(0, len(order), batch_texts)]


def _padded(model: nn.Module, rows: _Rows, batch: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The texts of a batch, ids (B, T) padded with 0, and their lengths (B,), on the model's
    device.
    """
    ids = [torch.as_tensor(rows[text]).long() for text in batch]
    lengths_B, device = torch.tensor([len(each) for each in ids]), device_of(model)
    return pad_sequence(ids, batch_first=True).to(device), lengths_B.to(device)


def _last_states(hidden_BTH: Tensor, lengths_B: Tensor) -> Tensor:
    """The state of each text's last token (B, H), in float32, on the CPU; of an image, whose last
    token is not read, that of the one before it.
    """
    texts_B = torch.arange(len(lengths_B), device=hidden_BTH.device)
    last_B = (lengths_B - 1).clamp(max=hidden_BTH.shape[1] - 1)
    return hidden_BTH[texts_B, last_B].float().cpu()


def _score_batch(
    model: nn.Module,
    rows: _Rows,
    batch: Sequence[int],
    choices: Sequence[Sequence[Tensor]],
    precision: Precision,
    accepts_chunks: bool,
) -> tuple[Tensor | None, Iterator[list[Tensor]]]:
    """The last states (B, H) of a batch of texts, of a model whose head accepts chunks, and the
    scores of their tokens in parts.
    """
    ids_BT, lengths_B = _padded(model, rows, batch)
    wanted_BS = torch.arange(1, ids_BT.shape[1], device=ids_BT.device) < lengths_B[:, None]
    hidden_BTH, chunks = read_in_chunks(
        model, ids_BT, wanted_BS, precision, accepts_chunks=accepts_chunks
    )
    others = [torch.cat(list(own)).to(ids_BT.device) for own in choices]
    last_BH = None if hidden_BTH is None else _last_states(hidden_BTH, lengths_B)
    return last_BH, _scored_parts(chunks, [ids_BT[:, 1:][wanted_BS], *others])


def _scored_parts(chunks: Iterable[Tensor], targets: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """The columns of each part of the logits: every field of `TokenScores`, then the ranks of other
    models' choices.

    `targets` are the true ids of all wanted tokens of a batch, and those choices.
    """
    start = 0
    for logits_CV in chunks:
        on_gpu = logits_CV.device.type != "cpu"
        tokens = len(logits_CV) if on_gpu else _PART_BYTES // (4 * logits_CV.shape[1])
        for logits_PV in torch.split(logits_CV, max(1, tokens)):
            true_P, *others = (each[start : start + len(logits_PV)] for each in targets)
            scores = target_scores(logits_PV, true_P)
            ranks = [rank_under(logits_PV, choice_P) for choice_P in others]
            yield [*(getattr(scores, field.name) for field in fields(TokenScores)), *ranks]
            start += len(logits_PV)


def _refuse_other_sizes(choices: Sequence[Sequence[Tensor]], sizes: Sequence[int]) -> None:
    for own in choices:
        for choice_S, size in zip(own, sizes, strict=True):
            if len(choice_S) != size:
                raise ValueError(f"{len(choice_S)} choices for {size} predicted tokens of a text")
