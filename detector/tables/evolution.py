"""Tables that an older version of this project made: which columns they lack, and which can't be used.

Owns that comparison. Refuses a column of another type by its name: what is in it can't be told by guessing.
"""

from pyspark.sql import types as t

from detector.errors import SettingsError
from detector.tables.schemas import Column, Table


def list_lacking(found: t.StructType, table: Table, name: str) -> list[Column]:
    """List the columns of ``table`` that the schema ``found`` lacks; further columns there don't matter.

    Raises ``SettingsError`` for a column of another type; ``name`` is the table's in the message.
    """
    types = {field.name: field.dataType.simpleString() for field in found}
    for column in table.columns:
        expected = column.type.simpleString()
        if types.get(column.name, expected) != expected:
            raise SettingsError(
                f"{name}: column {column.name} is {types[column.name]}, and this version writes {expected}: "
                "name another place for the tables, or copy their rows into new ones"
            )
    return [column for column in table.columns if column.name not in types]
