"""Rate limits by bearer, not by network address: a school class shares one address."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class TokenBucket:
    """Requests left of an allowance at a time in seconds."""

    left: float
    at: float


@dataclass
class RateLimit:
    """An allowance for each key in memory: `burst` requests at once, refilled by `per_second`.

    Keys are stored as hashes, since they may be tokens. Beyond `keys` the least recently used one
    is forgotten.
    """

    burst: float
    per_second: float
    keys: int = 10_000
    clock: Callable[[], float] = time.monotonic
    _buckets: OrderedDict[bytes, TokenBucket] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def allows(self, key: str) -> bool:
        """Take one request from the key's allowance; False if none is left."""
        with self._lock:
            bucket, now = self._bucket(hashlib.sha256(key.encode()).digest()), self.clock()
            bucket.left = min(self.burst, bucket.left + (now - bucket.at) * self.per_second)
            bucket.at = now
            if bucket.left < 1:
                return False
            bucket.left -= 1
            return True

    def _bucket(self, key: bytes) -> TokenBucket:
        bucket = self._buckets.setdefault(key, TokenBucket(self.burst, self.clock()))
        self._buckets.move_to_end(key)
        if len(self._buckets) > self.keys:
            self._buckets.popitem(last=False)
        return bucket
