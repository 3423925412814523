"""Architecture, backbone, canvas and anchors of configs, by hand-worked cases."""

import pytest

from detector.training.families.backbone_catalogue import find_backbone, list_backbones
from detector.training.families.registry import check_architecture
from detector.training.pipeline_config.command import convert_text
from detector.training.pipeline_config.ledger import Outcome


def convert(model):
    """Convert a model alone; gives the values of ``model``'s keys, and the ledger."""
    ledger = convert_text(f"model {{ {model} }}", "x")
    keys = {k.removeprefix("model."): s.value for k, s in ledger.settings.items() if k.startswith("model.")}
    return keys, ledger


def ends(ledger, path):
    """Give the outcomes of the fields whose path ends so."""
    return {entry.outcome for entry in ledger.entries if entry.path.endswith(path)}


@pytest.mark.parametrize(
    ("model", "architecture", "backbone"),
    [
        ('ssd { feature_extractor { type: "ssd_mobilenet_v1" } }', "retinanet", "mobilenet_v1"),
        ('ssd { feature_extractor { type: "ssd_mobilenet_v2_fpn_keras" } }', "retinanet", "mobilenet_v2"),
        ('ssd { feature_extractor { type: "ssd_resnet50_v1_fpn" } }', "retinanet", "resnet_50"),
        ('ssd { feature_extractor { type: "ssd_resnet152_v1_fpn_keras" } }', "retinanet", "resnet_152"),
        ('ssd { feature_extractor { type: "ssd_mobilenet_v3_small" } }', "retinanet", "mobilenet_v3_small"),
        (
            'ssd { feature_extractor { type: "ssd_efficientnet-b3_bifpn_keras" bifpn { } } }',
            "retinanet",
            "efficientnet_b3",
        ),
        ('ssd { feature_extractor { type: "ssd_inception_v2" } }', "retinanet", "resnet_50"),
        (
            'ssd { feature_extractor { type: "ssd_mobiledet_edgetpu" } }',
            "garden_retinanet",
            "mobiledet_edgetpu",
        ),
        (
            'ssd { feature_extractor { type: "ssd_mobilenet_v2" depth_multiplier: 0.75 } }',
            "retinanet",
            "mobilenet_v2_0.75",
        ),
        ('faster_rcnn { feature_extractor { type: "faster_rcnn_resnet101" } }', "faster_rcnn", "resnet_101"),
        (
            'faster_rcnn { feature_extractor { type: "faster_rcnn_inception_resnet_v2" } }',
            "faster_rcnn",
            "resnet_101",
        ),
        ('faster_rcnn { feature_extractor { type: "faster_rcnn_nas" } }', "faster_rcnn", "resnet_152"),
        ('center_net { feature_extractor { type: "resnet_v2_50" } }', "fcos", "resnet_50_v2"),
        ('center_net { feature_extractor { type: "hourglass_104" } }', "fcos", "resnet_101"),
    ],
)
def test_chooses_architecture_and_backbone(model, architecture, backbone):
    """Each family and feature extractor becomes ours or the nearest, and ours exists."""
    keys, _ = convert(model)
    assert (keys["architecture"], keys["backbone"]) == (architecture, backbone)
    check_architecture(architecture)
    if architecture in {"retinanet", "fcos"}:
        find_backbone(backbone)
    elif architecture == "faster_rcnn":
        assert backbone in list_backbones()


def test_tells_substitutions_apart():
    """RetinaNet by another name is itself; SSD, R-FCN and CenterNet become the nearest."""
    same = 'ssd { feature_extractor { type: "ssd_resnet50_v1_fpn" fpn { } } }'
    assert ends(convert(same)[1], "model.ssd") == {Outcome.CONVERTED}
    for other in ('ssd { feature_extractor { type: "ssd_mobilenet_v2" } }', "center_net { num_classes: 1 }"):
        assert ends(convert(other)[1], "model." + other.split()[0]) == {Outcome.NEAREST}
    rfcn = "faster_rcnn { second_stage_box_predictor { rfcn_box_predictor { depth: 1 } } }"
    assert "R-FCN" in convert(rfcn)[1].settings["model.architecture"].why


def test_names_a_backbone_that_is_none():
    """A type without a rule is listed, and the family keeps its own backbone."""
    keys, ledger = convert('ssd { feature_extractor { type: "ssd_of_mine" } }')
    assert "backbone" not in keys
    assert ends(ledger, "feature_extractor.type") == {Outcome.NONE}


@pytest.mark.parametrize(
    ("resizer", "px", "outcome"),
    [
        ("fixed_shape_resizer { height: 300 width: 300 }", 320, Outcome.NEAREST),
        ("fixed_shape_resizer { height: 512 width: 640 }", 640, Outcome.NEAREST),
        ("keep_aspect_ratio_resizer { min_dimension: 600 max_dimension: 1024 }", 1024, Outcome.NEAREST),
        ("keep_aspect_ratio_resizer { min_dimension: 640 max_dimension: 640 }", 640, Outcome.CONVERTED),
    ],
)
def test_fits_the_canvas(resizer, px, outcome):
    """The longer side, up to a multiple of 32; equal sides that keep the shape are the same thing."""
    keys, ledger = convert(f"ssd {{ image_resizer {{ {resizer} }} }}")
    assert keys["input_px"] == px
    assert ends(ledger, "_dimension") | ends(ledger, "height") == {outcome}


@pytest.mark.parametrize(
    ("generator", "sizes"),
    [
        ("multiscale_anchor_generator { anchor_scale: 4 scales_per_octave: 3 }", [4.0, 5.04, 6.35]),
        # .2 of 320 px is 64 px, but the first layer begins at .1: 32 px, 4 strides of 8.
        ("ssd_anchor_generator { min_scale: 0.2 }", [4.0, 5.657]),
        ("ssd_anchor_generator { min_scale: 0.2 reduce_boxes_in_lowest_layer: false }", [8.0, 11.314]),
        ("ssd_anchor_generator { scales: [0.15, 0.05] }", [2.0, 2.828]),
    ],
)
def test_sizes_anchors_of_dense_heads(generator, sizes):
    """Sides are in strides of the finest level, 8."""
    keys, _ = convert(
        f"ssd {{ image_resizer {{ fixed_shape_resizer {{ height: 320 width: 320 }} }} anchor_generator {{ {generator} }} }}"
    )
    assert (keys["anchors.sizes"], keys["levels"]) == (sizes, [3, 7])


@pytest.mark.parametrize(
    ("scales", "sizes"),
    [("[0.25, 0.5, 1.0, 2.0]", [16.0]), ("[1.0]", [64.0]), ("[0.5, 0.75, 1.0]", [32.0, 48.0])],
)
def test_spreads_grid_anchors_over_levels(scales, sizes):
    """Scales that are doubled lie on the next level; 256 px is 64 strides of 4."""
    grid = f"grid_anchor_generator {{ scales: {scales} aspect_ratios: [0.5, 1, 2, 3] height_stride: 16 }}"
    keys, ledger = convert(f"faster_rcnn {{ first_stage_anchor_generator {{ {grid} }} }}")
    assert keys["anchors.sizes"] == pytest.approx(sizes, rel=1e-3)
    assert keys["anchors.aspect_ratios"] == [2.0, 1.0, 0.5, 0.333]
    assert ends(ledger, "height_stride") == {Outcome.IDLE}


@pytest.mark.parametrize(
    "generator",
    [
        "ssd_anchor_generator { aspect_ratios: 0 }",
        "grid_anchor_generator { scales: -1 }",
        "flexible_grid_anchor_generator { }",
    ],
)
def test_leaves_impossible_anchors_to_the_data(generator):
    """Anchors that can't be ours are listed, and none are set."""
    keys, ledger = convert(f"ssd {{ anchor_generator {{ {generator} }} }}")
    assert not [key for key in keys if key.startswith("anchors")]
    assert ends(ledger, generator.split()[0]) == {Outcome.NONE}


def test_refuses_levels_that_are_none():
    """Levels out of order are listed and not set."""
    keys, ledger = convert("ssd { feature_extractor { fpn { min_level: 7 max_level: 3 } } }")
    assert "levels" not in keys
    assert ends(ledger, "min_level") == {Outcome.NONE}


def test_converts_suppression():
    """The last suppression's numbers go to the export; what it can't do is listed."""
    nms = "batch_non_max_suppression { score_threshold: 0.3 iou_threshold: 0.5 max_total_detections: 50 soft_nms_sigma: 0.5 max_detections_per_class: 20 }"
    _, ledger = convert(f"ssd {{ post_processing {{ {nms} score_converter: SOFTMAX }} }}")
    found = {key: s.value for key, s in ledger.settings.items() if key.startswith("export")}
    assert found == {"export.max_detections": 50, "export.nms_iou": 0.5, "export.min_score": 0.3}
    for path in ("soft_nms_sigma", "score_converter", "max_detections_per_class"):
        assert ends(ledger, path) == {Outcome.NONE}
