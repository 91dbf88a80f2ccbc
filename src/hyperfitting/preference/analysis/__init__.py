"""Judgements in, a defensible percentage out: pure functions of Judgement and Comparison rows, without a database."""
