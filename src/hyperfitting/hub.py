"""The door to huggingface_hub: is there a hub? Asked once, and only where a name can only be on the hub."""

from __future__ import annotations

import logging
from functools import lru_cache


@lru_cache(maxsize=1)
def settle() -> None:
    """If the hub cannot be reached, put the libraries that ask it offline: what was downloaded before is used at once.

    Each of them would otherwise try for half a minute, telling of every retry.
    """
    from huggingface_hub import constants, get_session

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        get_session().head(constants.ENDPOINT, timeout=_SECONDS)
    except Exception as error:  # of whichever HTTP library is beneath
        if any(word in type(error).__name__ for word in ("Connect", "Timeout")):
            constants.HF_HUB_OFFLINE = True


_SECONDS = 5
