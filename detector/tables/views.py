"""The questions that everybody asks, as views over the tables.

Owns their SQL. In a catalog they are kept; over a folder they are temporary views of the session.
"""

from detector.tables.schemas import DETECTIONS, RUNS, SCORES, THRESHOLDS
from detector.tables.store import TableStore

DEFAULT_THRESHOLD = 0.5  # for a class that no evaluation gave one
_TABLES = (SCORES, DETECTIONS, RUNS, THRESHOLDS)

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
    "current_thresholds": """
        SELECT * EXCEPT (age) FROM (
          SELECT *, row_number() OVER (
            PARTITION BY model_digest, class_id ORDER BY evaluated_at DESC, evaluation_id DESC
          ) AS age FROM {thresholds}
        ) WHERE age = 1""",
    # By the model's digest: a name may be given to another model, and thresholds are of these very weights.
    "detections_above_threshold": """
        SELECT d.*, coalesce(t.threshold, {default_threshold!r}D) AS threshold
        FROM {current_detections} AS d
        JOIN {current_scores} AS s ON d.score_id = s.score_id
        LEFT JOIN {current_thresholds} AS t ON s.model_digest = t.model_digest AND d.class_id = t.class_id
        WHERE d.score >= coalesce(t.threshold, {default_threshold!r}D)""",
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


def select_current_scores(scores: str) -> str:
    """Give the query of the current rows of the table that SQL names ``scores``."""
    return _VIEWS["current_scores"].format(scores=scores)


def create_views(store: TableStore, *, default_threshold: float = DEFAULT_THRESHOLD) -> list[str]:
    """Make the views and return their names; over a folder also the tables themselves.

    ``detections_above_threshold`` are those of at least their class's newest threshold for their model, or of
    ``default_threshold`` for classes without one. The table ``thresholds`` is made where it isn't there;
    tables of an older version get the columns that they lack.
    """
    store.create([THRESHOLDS, *(table for table in _TABLES if store.has(table))])
    names = {table.name: store.name_of(table) for table in _TABLES}
    for name, query in _VIEWS.items():
        filled = query.format(**names, default_threshold=float(default_threshold))
        if store.schema is None:
            store.spark.sql(filled).createOrReplaceTempView(name)
            names[name] = name
        else:
            names[name] = store.name_in_schema(name)
            store.spark.sql(f"CREATE OR REPLACE VIEW {names[name]} AS {filled}")
    if store.schema is None:
        for table in _TABLES:
            store.read(table).createOrReplaceTempView(table.name)
            names[table.name] = table.name
    return sorted(names.values())
