"""The store of a study: annotators, assignments and judgements in SQLite or PostgreSQL."""

from hyperfitting.preference.store.store import Store, open_store

__all__ = ["Store", "open_store"]
