"""What there is to compute with: found and named before training starts.

Owns the look at GPUs, by TensorFlow and beside it. Refuses silence about a GPU that is there and can't be
used.
"""

import shutil
import subprocess
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Devices:
    """TensorFlow's version, the GPUs that it sees, those that the driver tells of, and CPU cores' worth."""

    tensorflow: str
    built_with_cuda: bool
    gpus: tuple[str, ...]
    driver_gpus: tuple[str, ...]

    @property
    def problem(self) -> str | None:
        """Say what keeps TensorFlow from a GPU that is there; None where nothing does."""
        if not self.driver_gpus or len(self.gpus) >= len(self.driver_gpus):
            return None
        seen = f"TensorFlow {self.tensorflow} sees {len(self.gpus)} of {len(self.driver_gpus)} GPUs"
        if not self.built_with_cuda:
            return f"{seen}: this TensorFlow is built without CUDA: uv sync --inexact --extra gpu"
        return (
            f"{seen} ({', '.join(self.driver_gpus)}): install the CUDA libraries by "
            "`uv sync --inexact --extra gpu`, and look at CUDA_VISIBLE_DEVICES and the driver's age "
            "(nvidia-smi)"
        )

    def describe(self) -> str:
        """Name them in one line."""
        found = ", ".join(self.gpus) or "no GPU, training on the CPU"
        return f"TensorFlow {self.tensorflow}: {found}"


def find_devices() -> Devices:
    """Look for GPUs; TensorFlow starts, and takes their memory as it needs it."""
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    for device in found:
        tf.config.experimental.set_memory_growth(device, True)
    return Devices(
        tensorflow=tf.__version__,
        built_with_cuda=bool(tf.test.is_built_with_cuda()),
        gpus=tuple(_name(tf, device) for device in found),
        driver_gpus=list_driver_gpus(),
    )


def list_driver_gpus() -> tuple[str, ...]:
    """List the GPUs that NVIDIA's own tool tells of; none where it isn't there or has no answer."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    words = [tool, "--query-gpu=name", "--format=csv,noheader"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603
    return (
        tuple(line.strip() for line in done.stdout.splitlines() if line.strip())
        if not done.returncode
        else ()
    )


def _name(tf: Any, device: Any) -> str:  # noqa: ANN401 (TensorFlow ships no types)
    details = tf.config.experimental.get_device_details(device)
    return str(details.get("device_name", device.name))
