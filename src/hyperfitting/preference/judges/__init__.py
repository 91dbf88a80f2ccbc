"""Judges other than people: simulated annotators and language models."""
