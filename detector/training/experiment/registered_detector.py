"""The code that a registered model carries: a package of ours as MLflow's generic Python model.

Owns the way from encoded pictures to rows, for MLflow's own ways to use a model (``mlflow models serve``,
``spark_udf``, a notebook). MLflow reads this file as a whole, which is why it imports MLflow at its top;
nothing of ours imports it. The scoring job doesn't run it: it takes the package's files.
"""

from functools import cached_property
from typing import Any

import pandas as pd

from detector.boxes import convert_canvas_to_source
from detector.models.registry import PACKAGE_ARTIFACT, import_mlflow
from detector.models.source import find_model
from detector.settings import MediaSettings, ModelSettings

mlflow = import_mlflow()
_PythonModel: Any = mlflow.pyfunc.PythonModel
IMAGE_COLUMN, RESULT_COLUMN = "image", "detections"
_SIZE_COLUMNS = ("width_px", "height_px")
_EDGES = ("y_min", "x_min", "y_max", "x_max")


class RegisteredDetector(_PythonModel):  # type: ignore[misc]  # MLflow isn't typed here
    """A detector on pictures as bytes; it's loaded when it is first asked."""

    def load_context(self, context: Any) -> None:  # noqa: ANN401 (MLflow's context)
        """Take note of where the package lies."""
        self.package = str(context.artifacts[PACKAGE_ARTIFACT])

    @cached_property
    def _loaded(self) -> Any:  # noqa: ANN401
        from detector.models.predictor import load_predictor
        from detector.models.signature import read_signature

        settings = ModelSettings(uri=self.package)
        source = find_model(settings)
        return load_predictor(source.path, read_signature(source.path), settings), source.labels

    def predict(self, context: object, model_input: pd.DataFrame) -> pd.DataFrame:  # noqa: ARG002
        """Detect on encoded pictures: a column ``image`` of bytes; MLflow makes one of a dict of lists, too.

        Gives a DataFrame of a row for each picture: ``detections``, a list, best score first, of class_id,
        label, score, and y_min, x_min, y_max, x_max in fractions of the upright picture; and that picture's
        ``width_px`` and ``height_px``. Raises ``MediaError`` for bytes that are no picture.
        """
        found = [self._detect(bytes(content)) for content in model_input[IMAGE_COLUMN]]
        return pd.DataFrame(found, columns=[RESULT_COLUMN, *_SIZE_COLUMNS])

    def _detect(self, content: bytes) -> tuple[list[dict[str, Any]], int, int]:
        from detector.media.decoding import decode_image

        predictor, labels = self._loaded
        decoded = decode_image(content, max_pixels=MediaSettings().max_pixels, canvas_hw=predictor.canvas_hw)
        height, width = decoded.pixels.shape[:2]
        (found,) = predictor.predict([predictor.prepare(decoded.pixels)], [(height, width)])
        boxes = found.boxes_yxyx_norm
        if decoded.letterbox is not None:
            boxes = convert_canvas_to_source(boxes, decoded.letterbox)
        rows = [
            {"class_id": int(class_id), "label": labels.name_of(int(class_id)), "score": float(score)}
            | dict(zip(_EDGES, map(float, box), strict=True))
            for box, score, class_id in zip(boxes, found.scores, found.class_ids, strict=True)
        ]
        return rows, decoded.width_px, decoded.height_px


mlflow.models.set_model(RegisteredDetector())
