"""Scores of whole texts."""

from hyperfitting.metrics.token_scores import target_scores


def token_scores(logits_BTV, ids_BT):
    """The scores of every token of the texts but the first, under the logits of the token before
    it.
    """
    return target_scores(logits_BTV[:, :-1], ids_BT[:, 1:])
