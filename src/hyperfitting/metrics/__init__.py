"""The metrics, as pure functions: ids, texts and numbers in, numbers out, without models or files.

specs/           the table: name, label, unit, target, aggregation, source of every metric
diversity.py     type-token ratios and n-grams
repetition.py    loops, compression, repeated runs
overlap.py       what stands in the training texts
bleu.py          Self-BLEU and Dataset-BLEU
token_scores.py  loss, entropy, ranks: needs torch
mauve.py         MAUVE from features
words.py         what a word is, in every script
controls.py      shuffled and random texts
stats.py         intervals and tests over clusters
multiple_comparisons.py  which arm is nearest
"""
