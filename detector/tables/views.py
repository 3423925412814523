"""The questions that everybody asks, as views over the tables.

Owns their SQL. In a catalog they are kept; over a folder they are temporary views of the session.
"""

from detector.tables.schemas import DETECTIONS, RUNS, SCORES
from detector.tables.store import TableStore

# Of each medium and model name, the version (file and scorer) that was scored last is current, and of it each
# segment's last try; older versions stay below them.
_VIEWS = {
    "current_scores": """
        SELECT * EXCEPT (newest_version, newest_try) FROM (
          SELECT *,
            first_value(struct(size_bytes, modified_at, scorer_digest)) OVER (
              PARTITION BY media_uri, model_name ORDER BY scored_at DESC, attempt DESC
            ) AS newest_version,
            row_number() OVER (
              PARTITION BY media_uri, model_name, size_bytes, modified_at, scorer_digest, segment_index
              ORDER BY attempt DESC, scored_at DESC
            ) AS newest_try
          FROM {scores} WHERE status <> 'skipped'
        ) WHERE newest_try = 1 AND newest_version <=> struct(size_bytes, modified_at, scorer_digest)""",
    "current_detections": """
        SELECT d.* FROM {detections} AS d LEFT SEMI JOIN {current_scores} AS s ON d.score_id = s.score_id""",
    "failures": """
        SELECT media_uri, error_class, error_message, size_bytes, modified_at, attempt, run_id, scored_at
        FROM {current_scores} WHERE status = 'failed'""",
    "counts_per_folder": """
        SELECT regexp_extract(media_uri, '^(.*)/[^/]*$', 1) AS folder, label, model_name,
          count(*) AS detections, count(DISTINCT media_uri) AS media
        FROM {current_detections} GROUP BY ALL""",
    "counts_per_hour": """
        SELECT date_trunc('HOUR', s.modified_at) AS hour, d.label, d.model_name,
          count(*) AS detections, count(DISTINCT d.media_uri) AS media
        FROM {current_detections} AS d JOIN {current_scores} AS s ON d.score_id = s.score_id GROUP BY ALL""",
}


def create_views(store: TableStore) -> list[str]:
    """Make the views and return their names; over a folder also scores, detections and runs themselves."""
    names = {table.name: store.name_of(table) for table in (SCORES, DETECTIONS, RUNS)}
    for name, query in _VIEWS.items():
        if store.schema is None:
            store.spark.sql(query.format(**names)).createOrReplaceTempView(name)
            names[name] = name
        else:
            names[name] = store.name_in_schema(name)
            store.spark.sql(f"CREATE OR REPLACE VIEW {names[name]} AS {query.format(**names)}")
    if store.schema is None:
        for table in (SCORES, DETECTIONS, RUNS):
            store.read(table).createOrReplaceTempView(table.name)
            names[table.name] = table.name
    return sorted(names.values())
