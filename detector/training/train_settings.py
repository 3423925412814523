"""The settings of jobs/train.py: one YAML file from annotated photos to a registered model.

Owns their names, defaults and explanations. Refuses what ``detector.settings_sources`` refuses.
"""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from detector.settings_sources import JobSettings, Section

Fraction = Annotated[float, Field(ge=0, le=1)]
Metric = Literal["ap", "ap50", "ap75"]
_SIDES_DIVISOR = 32  # the coarsest stride that backbones share
_NOT_COMPILED = ("faster_rcnn", "cascade_rcnn", "centernet")  # XLA of TensorFlow 2.20 has not all their ops


class DataSettings(Section):
    """Which annotated pictures, and which of them are for what."""

    root: Path = Field(description="folder of pictures with annotations")
    format: str = Field("voc", description="of the annotations: voc, coco, yolo, createml, tfrecord, ...")
    images: Path | None = Field(None, description="folder in it that alone holds pictures")
    annotations: Path | None = Field(
        None, description="folder or document in it that alone holds annotations"
    )
    labels: Path | None = Field(
        None, description="label map: ids and order of the classes (default: the names that occur, sorted)"
    )
    background: bool = Field(False, description="pictures that nobody annotated have no objects")
    split: Path | None = Field(
        None, description="manifest of jobs/dataset.py split (default: split here, by the fractions below)"
    )
    train: Fraction = Field(0.7, description="part for training; the three sum to 1")
    val: Fraction = Field(0.15, description="part for validation: early stopping and choosing look at it")
    test: Fraction = Field(0.15, description="part for the final figures, looked at once")
    split_seed: int = Field(0, description="of the split; the same one gives the same split")
    cluster_iou: float = Field(
        0.5, gt=0, le=1, description="boxes of one class that overlap so much are of one object"
    )
    boxes_per_object: Literal["one", "all"] = Field(
        "one",
        description="of several boxes around an object, training takes one by chance each epoch, or all",
    )
    use_difficult: bool = Field(True, description="train on objects marked difficult, too")
    max_pixels: int = Field(120_000_000, gt=0, description="larger pictures are refused by their header")
    cache: Literal["memory", "disk", "none"] = Field("memory", description="where decoded pictures are kept")
    workers: int | None = Field(None, gt=0, description="threads that decode (default: cores)")

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        total = self.train + self.val + self.test
        if self.split is None and (abs(total - 1) > 1e-6 or not self.train or not self.val):  # noqa: PLR2004
            raise ValueError(
                f"data.train, data.val and data.test sum to {total:g}: give 1, train and val above 0"
            )
        return self


class AnchorSettings(Section):
    """Anchors of the families that have them."""

    sizes: list[Annotated[float, Field(gt=0)]] | None = Field(
        None,
        description="side at the finest level, in strides, one for each octave (default: from the data)",
    )
    aspect_ratios: list[Annotated[float, Field(gt=0)]] | None = Field(
        None, description="height / width (default: from the data)"
    )


class NetworkSettings(Section):
    """Which network."""

    architecture: str = Field(
        "fcos", description="fcos, retinanet, d_fine, faster_rcnn, garden_retinanet, ...: --help of the docs"
    )
    backbone: str | None = Field(
        None,
        description="plain, mobilenet_v2, mobilenet_v3_small, resnet_18, resnet_50, efficientnet_b0, "
        "densenet_121, ... (default: the family's own)",
    )
    weights: str | None = Field(
        None,
        description="to begin with: a KerasHub preset by name, a preset's folder, a Keras weights file of "
        "the backbone, or the folder of an earlier run (default: random)",
    )
    input_px: int = Field(
        320,
        gt=0,
        multiple_of=_SIDES_DIVISOR,
        description="side of the square canvas that pictures are fitted to",
    )
    levels: tuple[int, int] | None = Field(
        None, description="finest and coarsest level of the pyramid, strides 2^n (default: the family's own)"
    )
    pyramid_width: int | None = Field(
        None, gt=0, description="channels of the pyramid (default: the family's)"
    )
    head_depth: int | None = Field(
        None, gt=0, description="convolutions of each head (default: the family's)"
    )
    anchors: AnchorSettings = AnchorSettings()
    name: str = Field(
        "detector",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="name in the registry, and model_name in the tables",
    )


class AugmentSettings(Section):
    """How training pictures are varied; 0 turns a thing off."""

    flip: Fraction = Field(0.5, description="part of the pictures mirrored left to right")
    flip_vertical: Fraction = Field(0, description="part mirrored top to bottom")
    scale: tuple[float, float] = Field((0.8, 1.25), description="zoom by a factor between these two")
    translate: Fraction = Field(0.1, description="shift by up to this part of the canvas")
    crop: Fraction = Field(
        0, description="part of the pictures of which a region with whole boxes is cut out"
    )
    brightness: Fraction = Field(0.15, description="change by up to this part of the range")
    contrast: Fraction = Field(0.15, description="change by up to this factor")
    saturation: Fraction = Field(0.15, description="change by up to this factor")
    hue: Fraction = Field(0.02, description="turn by up to this part of the circle")
    mosaic: Fraction = Field(0, description="part of the pictures that are made of four")
    copy_paste: Fraction = Field(0, description="part of the pictures that get an object of another")
    box_jitter: float = Field(
        0,
        ge=0,
        le=0.5,
        description="deviation by which edges move, in the box's own sides, as if drawn again",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"augment.scale is {self.scale}: give a smaller and a larger factor above 0")
        return self


class FitSettings(Section):
    """How the weights are found."""

    epochs: int = Field(60, gt=0, description="times over the training pictures, at most")
    batch_size: int = Field(8, gt=0, description="pictures a step")
    optimizer: Literal["adamw", "adam", "sgd"] = Field("adamw", description="sgd has momentum .9")
    learning_rate: float = Field(1e-3, gt=0, description="at its highest")
    backbone_learning_rate: Fraction = Field(1.0, description="factor on the gradients of the backbone")
    schedule: Literal["cosine", "constant", "step"] = Field("cosine", description="after the warm-up")
    decay_epochs: list[Annotated[float, Field(gt=0)]] = Field(
        [], description="step: epochs at which the rate falls to a tenth"
    )
    warmup_epochs: float = Field(1.0, ge=0, description="the rate rises from 0")
    weight_decay: float = Field(1e-4, ge=0)
    clip_norm: float | None = Field(10.0, gt=0, description="largest norm of all gradients together")
    ema_decay: float | None = Field(
        0.998, gt=0, lt=1, description="the exported weights are an average of the last ones; null: the last"
    )
    freeze_epochs: int = Field(0, ge=0, description="epochs that leave the backbone as it is")
    frozen_stages: int = Field(0, ge=0, description="stages of the backbone that are never trained")
    batch_norm_momentum: float = Field(
        0.9, gt=0, lt=1, description="of running statistics: low, so that few steps suffice"
    )
    class_balance: bool = Field(False, description="show pictures with rare classes more often (LVIS)")
    evaluate_every: int = Field(1, gt=0, description="epochs between two measurements on val")
    patience: int | None = Field(
        None, gt=0, description="epochs without a better figure after which to stop (default: never)"
    )
    metric: Metric = Field("ap50", description="what the best checkpoint and the best trial are chosen by")
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = Field("float32")
    xla: bool = Field(False, description="compile the step; helps on GPUs")
    seed: int = Field(0, description="of weights, order and augmentation")


class Range(Section):
    """Where the search looks for a number."""

    low: float
    high: float
    log: bool = Field(False, description="on a logarithmic scale")
    step: float | None = Field(None, gt=0)
    integer: bool = False


class SearchSettings(Section):
    """Which settings to try."""

    method: Literal["none", "grid", "tpe"] = "none"
    space: dict[str, list[Any] | Range] = Field(
        {}, description="key (such as model.architecture) to a list of values, or low and high"
    )
    trials: int = Field(20, gt=0, description="of tpe; a grid tries everything")
    timeout_s: float | None = Field(None, gt=0, description="no trial begins later")
    pruner: Literal["none", "median", "halving"] = Field("median", description="stops bad trials early")
    parallel: int | None = Field(None, gt=0, description="trials at once (default: one a GPU, else one)")
    seed: int = 0

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.method != "none" and not self.space:
            raise ValueError("search.method needs search.space: name keys and what to try")
        return self


class ExportSettings(Section):
    """What the exported model does beside the network."""

    max_detections: int = Field(100, gt=0, description="a picture, best first")
    nms_iou: float = Field(
        0.6, gt=0, le=1, description="of two boxes of one class that overlap more, one goes"
    )
    min_score: Fraction = Field(0.01, description="boxes below are not given")
    folder: Path | None = Field(
        None, description="where the best model's package is copied to, in the place of an older one"
    )
    half: bool = Field(False, description="keep weights as float16: half the size")
    formats: list[Literal["tflite", "onnx"]] = Field([], description="beside the SavedModel")


class TrackingSettings(Section):
    """MLflow: runs and the registry."""

    uri: str | None = Field(
        None, description="sqlite:///FILE, http(s)://HOST, databricks (default: sqlite file in out)"
    )
    registry_uri: str | None = Field(None, description="where it's another, such as databricks-uc")
    experiment: str | None = Field(None, description="(default: model.name)")
    register_as: str | None = Field(
        None, description="name in the registry; catalog.schema.name for databricks-uc (default: model.name)"
    )
    promote: Literal["if_better", "always", "never"] = Field(
        "if_better", description="move the alias champion: when the interval of the difference is above 0"
    )
    confidence: float = Field(0.95, gt=0, lt=1, description="of that interval")
    resamples: int = Field(1000, ge=100, description="of the paired bootstrap over images")


class TrainSettings(JobSettings):
    """Train detection models on annotated photos, choose the best, export and register it.

    Each setting is a key of the YAML file (--config), an environment variable (DETECTOR_DATA__ROOT for
    data.root) or a flag below; flags win over the environment, the environment over the file.
    Exit codes: 0 done, 1 unexpected error, 2 settings or data refused and nothing trained.
    """

    section_names: ClassVar[tuple[str, ...]] = ("data", "model", "augment", "fit")

    data: DataSettings
    model: NetworkSettings = NetworkSettings()
    augment: AugmentSettings = AugmentSettings()
    fit: FitSettings = FitSettings()
    search: SearchSettings = SearchSettings()
    export: ExportSettings = ExportSettings()
    tracking: TrackingSettings = TrackingSettings()
    out: Path = Field(Path("build/training"), description="folder of runs, checkpoints and packages")

    @model_validator(mode="after")
    def _compilable(self) -> Self:
        if self.fit.xla and self.model.architecture in _NOT_COMPILED:
            raise ValueError(f"fit.xla: XLA can't compile {self.model.architecture}: leave it off")
        return self
