"""The door to huggingface_hub: check once whether the hub can be reached, and go offline if not."""

from __future__ import annotations

import logging
from functools import lru_cache


@lru_cache(maxsize=1)
def go_offline_if_unreachable() -> None:
    """Switch huggingface_hub to offline mode if the hub does not answer, so that downloaded files
    are used at once.

    Without this, each library retries for half a minute and prints every retry. Call it only for
    names that can be on the hub only. The answer is kept for the whole process.
    """
    from huggingface_hub import constants, get_session

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        get_session().head(constants.ENDPOINT, timeout=_SECONDS)
    except Exception as error:  # its class depends on the HTTP library that huggingface_hub uses
        if any(word in type(error).__name__ for word in ("Connect", "Timeout")):
            constants.HF_HUB_OFFLINE = True


_SECONDS = 5
