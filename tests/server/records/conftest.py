"""The tests of the job database run over each of its engines; those of SQLite's file name it."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from attnscope_server.root.data_root import open_database
from databases import postgresql

__all__ = ["postgresql"]


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request):
    """Return the name of the engine of the job database."""
    return request.param


@pytest.fixture
def where(where, engine, request):
    """Return the settings of a prepared data root, whose database is one of this engine."""
    if engine == "sqlite":
        return where
    address = request.getfixturevalue("postgresql").fresh()
    return where.model_copy(update={"database_url": SecretStr(address)})


@pytest.fixture
def raw(where):
    """Return a function that runs statements in the database behind attnscope's back."""

    def execute(*statements: str) -> None:
        database = open_database(where)
        with database._writing.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        database.close()

    return execute
