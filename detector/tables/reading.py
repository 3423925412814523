"""The tables read without Spark: what reports and evaluations ask of a folder's Delta tables.

Owns how columns that an older version of this project did not write are filled. Writes nothing.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable


def open_dataset(uri: str, needed: Mapping[str, pa.DataType]) -> Any:  # noqa: ANN401 (a pyarrow dataset)
    """Open a Delta table; those of the ``needed`` columns that it lacks are null.

    Raises ``deltalake.exceptions.TableNotFoundError`` where there is no table.
    """
    dataset = DeltaTable(uri).to_pyarrow_dataset()
    schema = dataset.schema
    for name, column_type in needed.items():
        if name not in schema.names:
            schema = schema.append(pa.field(name, column_type))
    return dataset.replace_schema(schema)
