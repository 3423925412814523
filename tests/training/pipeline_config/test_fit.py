"""Optimizer, schedule, length and augmentation of configs, by hand-worked cases."""

import pytest

from detector.training.fit.schedule import compute_learning_rate
from detector.training.pipeline_config.command import convert_text
from detector.training.pipeline_config.ledger import Outcome
from detector.training.pipeline_config.settings_file import check_settings


def convert(train, **options):
    """Convert a train_config alone, of 100 pictures and batches of 10 where nothing else is said."""
    text = f"train_config {{ batch_size: 10 {train} }}"
    return convert_text(text, "x", **{"examples": 100, **options})


def rate(schedule, *, steps=1000):
    """Convert a schedule of the momentum optimizer."""
    optimizer = f"optimizer {{ momentum_optimizer {{ learning_rate {{ {schedule} }} }} }}"
    ledger = convert(f"num_steps: {steps} {optimizer}")
    return {
        k.removeprefix("fit."): s.value for k, s in ledger.settings.items() if k.startswith("fit.")
    }, ledger


def ends(ledger, path):
    """Give the outcomes of the fields whose path ends so."""
    return {entry.outcome for entry in ledger.entries if entry.path.endswith(path)}


def test_converts_steps_to_epochs():
    """1,000 steps of 10 pictures are 100 epochs of 100."""
    assert convert("num_steps: 1000").settings["fit.epochs"].value == 100
    assert convert("num_steps: 1").settings["fit.epochs"].value == 1


def test_says_what_it_assumes_of_the_length():
    """Without a count of pictures, and without steps, what is assumed is told."""
    assert any("--examples N" in text for text in convert("num_steps: 9", examples=None).assumptions)
    ledger = convert("num_steps: 0")
    assert ends(ledger, "num_steps") == {Outcome.NONE}
    assert any("num_steps" in text for text in convert("").assumptions)


def test_takes_the_length_of_the_cosine():
    """A training without end and with a cosine is as long as that."""
    cosine = "optimizer { adam_optimizer { learning_rate { cosine_decay_learning_rate { total_steps: 500 warmup_steps: 0 } } } }"
    assert convert(f"num_steps: 0 {cosine}").settings["fit.epochs"].value == 50


def test_converts_a_cosine_so_that_rates_agree():
    """Our rate is the API's, warm-up and cosine, to what one step of the warm-up is."""
    found, ledger = rate(
        "cosine_decay_learning_rate { learning_rate_base: 0.1 total_steps: 1000 warmup_steps: 100 warmup_learning_rate: 0 }"
    )
    assert (found["schedule"], found["learning_rate"], found["warmup_epochs"]) == ("cosine", 0.1, 10)
    settings = check_settings(ledger, "x").fit
    # 0.1 * step / 100 in the warm-up, then half a cosine to 0 at step 1,000: at 550 it's half.
    for step, expected in ((50, 0.05), (100, 0.1), (550, 0.05), (775, 0.1 * 0.1464), (999, 0.0)):
        assert compute_learning_rate(step, 10, settings) == pytest.approx(expected, abs=1.1e-3)


def test_converts_manual_steps_that_fall_to_tenths():
    """Tenths are exact; steps after the end of training change nothing."""
    schedule = "schedule { step: 0 learning_rate: 0.01 } schedule { step: 500 learning_rate: 0.001 } schedule { step: 2000 learning_rate: 0.0001 }"
    found, ledger = rate(f"manual_step_learning_rate {{ initial_learning_rate: 0.5 {schedule} }}")
    assert (found["learning_rate"], found["schedule"], found["decay_epochs"]) == (0.01, "step", [50])
    assert ends(ledger, "schedule[1]") == {Outcome.CONVERTED}
    assert ends(ledger, "schedule[2]") == {Outcome.IDLE}


def test_converts_manual_steps_that_fall_otherwise():
    """A half isn't told as a tenth; a hundredth at once is two tenths at once."""
    found, ledger = rate(
        "manual_step_learning_rate { initial_learning_rate: 1 schedule { step: 100 learning_rate: 0.5 } schedule { step: 500 learning_rate: 0.01 } }"
    )
    assert found["decay_epochs"] == [50, 50]
    assert ends(ledger, "schedule[0]") == {Outcome.NEAREST}


def test_converts_a_manual_warm_up():
    """With ``warmup``, the rate rises to that of the first step."""
    found, _ = rate(
        "manual_step_learning_rate { initial_learning_rate: 0 schedule { step: 100 learning_rate: 0.1 } schedule { step: 500 learning_rate: 0.01 } warmup: true }"
    )
    assert (found["learning_rate"], found["warmup_epochs"], found["decay_epochs"]) == (0.1, 10, [50])


@pytest.mark.parametrize(
    ("decay", "schedule", "epochs"),
    [
        ("decay_steps: 5000 decay_factor: 0.95", "constant", None),
        # .1 every 400 steps: nearer to a tenth from 200 steps on, to a hundredth from 600, beyond is the end.
        ("decay_steps: 400 decay_factor: 0.1", "step", [20, 60, 100]),
        ("decay_steps: 100 decay_factor: 0.99", "constant", None),
        ("decay_steps: 100 decay_factor: 3.0", "constant", None),
    ],
)
def test_converts_exponential_decay(decay, schedule, epochs):
    """The rate falls to tenths where the old one came nearer to them, or stays."""
    found, _ = rate(f"exponential_decay_learning_rate {{ {decay} }}")
    assert (found["schedule"], found.get("decay_epochs")) == (schedule, epochs)


def test_knows_a_staircase_that_is_not_reached():
    """A first fall after the end of training is exactly a constant rate."""
    _, ledger = rate("exponential_decay_learning_rate { decay_steps: 1001 decay_factor: 0.5 }")
    assert ends(ledger, "decay_steps") == {Outcome.CONVERTED}
    _, ledger = rate("exponential_decay_learning_rate { decay_steps: 999 decay_factor: 0.9 }")
    assert ends(ledger, "decay_steps") == {Outcome.NEAREST}


@pytest.mark.parametrize(
    ("optimizer", "name"),
    [
        ("momentum_optimizer { }", "sgd"),
        ("adam_optimizer { }", "adam"),
        ("rms_prop_optimizer { }", "sgd"),
        ("rms_prop_optimizer { epsilon: 0.001 }", "adam"),
    ],
)
def test_chooses_the_optimizer(optimizer, name):
    """RMSProp with its usual epsilon of 1 steps like SGD, with a small one like Adam."""
    assert convert(f"optimizer {{ {optimizer} }}").settings["fit.optimizer"].value == name


@pytest.mark.parametrize(
    ("given", "decay"),
    [
        ("", 0.9999),
        ("use_moving_average: false", None),
        ("moving_average_decay: 0.99", 0.99),
        ("use_moving_average: false moving_average_decay: 0.5", None),
    ],
)
def test_converts_the_average(given, decay):
    """The API averages weights unless told not to."""
    ledger = convert(f"optimizer {{ momentum_optimizer {{ }} {given} }}")
    assert ledger.settings["fit.ema_decay"].value == decay


def test_converts_clipping_and_precision():
    """Clipping is off unless given; bfloat16 is a precision."""
    assert convert("").settings["fit.clip_norm"].value is None
    assert convert("gradient_clipping_by_norm: 5").settings["fit.clip_norm"].value == 5
    assert convert("use_bfloat16: true").settings["fit.precision"].value == "mixed_bfloat16"


def test_keeps_slow_statistics_from_short_trainings():
    """A BatchNorm decay that a training is too short for is listed instead."""
    model = "model { ssd { feature_extractor { conv_hyperparams { batch_norm { decay: 0.99 } } } } }"
    for steps, outcome in ((10_000, Outcome.CONVERTED), (100, Outcome.NONE)):
        ledger = convert_text(f"{model} train_config {{ num_steps: {steps} }}", "x")
        assert ends(ledger, "batch_norm.decay") == {outcome}


def augment(*options):
    """Convert augmentations; gives the keys that are not off, and the ledger."""
    ledger = convert(" ".join(f"data_augmentation_options {{ {option} }}" for option in options))
    keys = {
        k.removeprefix("augment."): s.value for k, s in ledger.settings.items() if k.startswith("augment.")
    }
    assert len(keys) == 12
    return {key: value for key, value in keys.items() if value not in (0.0, [1.0, 1.0])}, ledger


@pytest.mark.parametrize(
    ("option", "keys"),
    [
        ("random_horizontal_flip { }", {"flip": 0.5}),
        ("random_vertical_flip { probability: 0.25 }", {"flip_vertical": 0.25}),
        ("random_adjust_brightness { }", {"brightness": 0.2}),
        ("random_adjust_contrast { }", {"contrast": 0.25}),
        ("random_adjust_saturation { min_delta: 0.5 max_delta: 1.1 }", {"saturation": 0.5}),
        ("random_adjust_hue { }", {"hue": 0.02}),
        ("random_distort_color { }", {"brightness": 0.125, "contrast": 0.5, "saturation": 0.5, "hue": 0.2}),
        ("random_image_scale { }", {"scale": [0.5, 2.0]}),
        ("random_scale_crop_and_pad_to_square { scale_min: 0.1 }", {"scale": [0.1, 2.0]}),
        ("random_square_crop_by_scale { scale_min: 0.5 scale_max: 2 }", {"scale": [0.5, 2.0]}),
        ("random_crop_image { random_coef: 0.25 }", {"crop": 0.75}),
        ("ssd_random_crop { }", {"crop": 0.85}),
        (
            "ssd_random_crop { operations { random_coef: 0.2 } operations { random_coef: 0.4 } }",
            {"crop": 0.7},
        ),
        ("ssd_random_crop_pad { }", {"crop": 0.85, "scale": [0.5, 1.0]}),
        ("random_pad_image { }", {"scale": [0.5, 1.0]}),
        ("random_jitter_boxes { ratio: 0.1 }", {"box_jitter": 0.0577}),
    ],
)
def test_converts_augmentation(option, keys):
    """Each option sets its keys, by the API's defaults where it gives none; everything else is off."""
    assert augment(option)[0] == keys


@pytest.mark.parametrize(
    "option", ["random_rotation90", "autoaugment_image", "random_black_patches", "random_jpeg_quality"]
)
def test_lists_augmentation_that_is_not_here(option):
    """An option without counterpart is listed, and sets nothing."""
    keys, ledger = augment(f"{option} {{ }}")
    assert not keys
    assert ends(ledger, option) == {Outcome.NONE}


def test_lists_a_second_option_of_one_key():
    """The first option sets a key; another for the same key is listed."""
    keys, ledger = augment("random_image_scale { }", "random_pad_image { }")
    assert keys == {"scale": [0.5, 2.0]}
    assert ends(ledger, "random_pad_image") == {Outcome.NONE}
