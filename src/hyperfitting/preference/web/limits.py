"""How often one bearer may ask, and how many wrong tokens are answered. Never by address: a class shares one."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Bucket:
    """What is left of an allowance, and when that was so (in seconds)."""

    left: float
    at: float


@dataclass
class Limit:
    """An allowance for each key: `burst` requests at once, refilled by `per_second`. Lives in memory.

    Keys are hashed, so that no token lies about; the least recently used is forgotten beyond `keys`, and begins anew.
    """

    burst: float
    per_second: float
    keys: int = 10_000
    clock: Callable[[], float] = time.monotonic
    _buckets: OrderedDict[bytes, Bucket] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def allows(self, key: str) -> bool:
        """Take one from the key's allowance; false if nothing is left."""
        with self._lock:
            bucket, now = self._bucket(hashlib.sha256(key.encode()).digest()), self.clock()
            bucket.left = min(self.burst, bucket.left + (now - bucket.at) * self.per_second)
            bucket.at = now
            if bucket.left < 1:
                return False
            bucket.left -= 1
            return True

    def _bucket(self, key: bytes) -> Bucket:
        bucket = self._buckets.setdefault(key, Bucket(self.burst, self.clock()))
        self._buckets.move_to_end(key)
        if len(self._buckets) > self.keys:
            self._buckets.popitem(last=False)
        return bucket
