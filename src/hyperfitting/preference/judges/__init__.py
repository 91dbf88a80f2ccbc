"""Judges that are no people: simulated annotators and language models."""
