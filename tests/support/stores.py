"""What tests of the preference study's store look up again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Table, select

from hyperfitting.errors import Refused
from hyperfitting.preference.store import Store


def refusal_of(call: Callable[..., object], *arguments: object) -> str:
    """The reason for which a call is refused."""
    with pytest.raises(Refused) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return caught.value.reason


def table_rows(store: Store, table: Table) -> list[Any]:
    """Every row of a table of the store."""
    with store._context.database.reading() as connection:
        return list(connection.execute(select(table)))
