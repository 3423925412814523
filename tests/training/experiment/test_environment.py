"""The environment: GPUs as nvidia-smi tells them, without TensorFlow."""

import stat

import pytest

from detector.training.experiment.environment import describe_environment, list_gpus

CARDS = "0, GPU-aa, NVIDIA A\n1, GPU-bb, NVIDIA B, 80GB\n"


@pytest.fixture
def cards(tmp_path, monkeypatch):
    """Put a program that speaks like nvidia-smi with two cards first on the path."""
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nprintf '{CARDS}'\n".replace("\n1,", "\\n1,").replace("GB\n'", "GB\\n'"))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


@pytest.mark.parametrize(
    ("visible", "found"),
    [
        ({}, ["GPU-aa", "GPU-bb"]),
        ({"CUDA_VISIBLE_DEVICES": "1"}, ["GPU-bb"]),
        ({"CUDA_VISIBLE_DEVICES": "GPU-bb,GPU-aa"}, ["GPU-bb", "GPU-aa"]),
        ({"CUDA_VISIBLE_DEVICES": "0,7,1"}, ["GPU-aa"]),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, []),
        ({"CUDA_VISIBLE_DEVICES": ""}, []),
    ],
)
def test_gpus_are_those_that_cuda_would_see(cards, visible, found):
    """CUDA_VISIBLE_DEVICES chooses by index or UUID, and ends at the first unknown one."""
    assert [gpu.uuid for gpu in list_gpus(visible)] == found


def test_no_driver_no_gpu(monkeypatch, tmp_path):
    """Without nvidia-smi there is none, and that is said."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list_gpus({}) == ()
    assert describe_environment()["gpus"] == "none"


def test_driver_without_a_card(monkeypatch, tmp_path):
    """A tool that ends with an error found no card."""
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert list_gpus({}) == ()
