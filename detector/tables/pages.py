"""The tables' documentation, written from their schemas so that it can't be wrong.

Owns the Markdown of docs/tables/.
"""

from pathlib import Path

from pyspark.sql import types as t

from detector.tables.schemas import ALL_TABLES, Table


def describe_table(table: Table) -> str:
    """Write a table's page: what a row is, then a line per column."""
    lines = [
        f"# {table.name}",
        "",
        table.comment,
        "",
        f"Clustered by {', '.join(table.clustered_by)}.",
        "",
        "| column | type | what it holds |",
        "| --- | --- | --- |",
        *(
            f"| {c.name} | {_name_type(c.type)}{'' if c.nullable else ' not null'} | {c.comment} |"
            for c in table.columns
        ),
    ]
    return "\n".join(lines) + "\n"


def write_pages(folder: Path) -> None:
    """Write the page of every table into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for table in ALL_TABLES:
        (folder / f"{table.name}.md").write_text(describe_table(table), encoding="utf-8")


def _name_type(kind: t.DataType) -> str:
    return kind.simpleString().replace("|", "\\|")
