-- Databricks notebook source
-- MAGIC %md
-- MAGIC # What is in the photos and videos
-- MAGIC The questions that everybody asks, of the tables that `detector score` writes. The widget names catalog and schema.

-- COMMAND ----------

-- MAGIC %python
-- MAGIC from detector.settings import TableSettings
-- MAGIC from detector.tables.store import open_store
-- MAGIC from detector.tables.views import create_views
-- MAGIC
-- MAGIC dbutils.widgets.text("schema", "main.vision")
-- MAGIC schema = dbutils.widgets.get("schema")
-- MAGIC # The views current_scores, current_detections, detections_above_threshold, failures and the counts, as they are now.
-- MAGIC create_views(open_store(spark, TableSettings(schema=schema, checkpoints="unused")))
-- MAGIC spark.sql(f"USE {schema}")

-- COMMAND ----------

-- MAGIC %md ## What was found, by label

-- COMMAND ----------

SELECT label, count(*) AS detections, count(DISTINCT media_uri) AS media, round(avg(score), 3) AS mean_score
FROM detections_above_threshold
GROUP BY label
ORDER BY detections DESC, label

-- COMMAND ----------

-- MAGIC %md ## The surest ten of each label

-- COMMAND ----------

SELECT label, score, media_uri, frame_index, time_s
FROM (
  SELECT *, row_number() OVER (PARTITION BY label ORDER BY score DESC, detection_id) AS place
  FROM detections_above_threshold
)
WHERE place <= 10
ORDER BY label, place

-- COMMAND ----------

-- MAGIC %md ## Which folders hold what

-- COMMAND ----------

SELECT folder, label, detections, media FROM counts_per_folder ORDER BY folder, detections DESC

-- COMMAND ----------

-- MAGIC %md ## When things were seen: by the hour of the file

-- COMMAND ----------

SELECT hour, label, detections, media FROM counts_per_hour ORDER BY hour DESC, detections DESC

-- COMMAND ----------

-- MAGIC %md ## Pictures with several things at once

-- COMMAND ----------

SELECT media_uri, frame_index, collect_set(label) AS labels, count(*) AS detections
FROM detections_above_threshold
GROUP BY media_uri, frame_index
HAVING size(collect_set(label)) > 1
ORDER BY detections DESC
LIMIT 50

-- COMMAND ----------

-- MAGIC %md ## What failed, and why

-- COMMAND ----------

SELECT error_class, count(*) AS media, min(media_uri) AS example, min(error_message) AS its_message
FROM failures
GROUP BY error_class
ORDER BY media DESC

-- COMMAND ----------

-- MAGIC %md ## The last nights: listed = scored + failed + skipped

-- COMMAND ----------

SELECT started_at, status, listed, scored, failed, skipped, remaining, detections, images_per_second, seconds
FROM runs
ORDER BY started_at DESC
LIMIT 30
