"""What a run ran on: Python, packages, and the GPUs of this machine.

Owns the search for GPUs that starts neither TensorFlow nor CUDA, so that a process that only hands work to
others holds no GPU memory. Names no machine, user or path.
"""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "detector", "tensorflow", "keras", "keras-hub", "tf-models-official", "tf-keras", "numpy",
    "opencv-python-headless", "pillow", "simplejpeg", "mlflow", "optuna",
)  # fmt: skip
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_QUERY = ("--query-gpu=index,uuid,name", "--format=csv,noheader")


@dataclass(frozen=True)
class Gpu:
    """A GPU as the driver lists it: index and UUID in nvidia-smi's order, and the card's name."""

    index: str
    uuid: str
    name: str


def describe_environment() -> dict[str, str]:
    """Tell versions and GPUs by name; packages that aren't installed are left out."""
    described = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    for package in PACKAGES:
        try:
            described[package] = version(package)
        except PackageNotFoundError:
            continue
    gpus = list_gpus()
    return described | {"gpus": ", ".join(gpu.name for gpu in gpus) or "none"}


def list_gpus(environment: Mapping[str, str] = os.environ) -> tuple[Gpu, ...]:
    """List the GPUs that this process may use, as nvidia-smi tells and CUDA_VISIBLE_DEVICES allows."""
    program = shutil.which("nvidia-smi")
    visible = environment.get(_VISIBLE)
    if program is None or (visible is not None and visible.strip() in {"", "-1"}):
        return ()
    asked = subprocess.run([program, *_QUERY], capture_output=True, text=True, check=False)  # noqa: S603
    if asked.returncode:
        return ()  # a driver's tools without a card
    gpus = parse_gpus(asked.stdout)
    return gpus if visible is None else choose_visible(gpus, visible)


def parse_gpus(listing: str) -> tuple[Gpu, ...]:
    """Read nvidia-smi's lines.

    >>> parse_gpus("0, GPU-5f, NVIDIA H100 80GB HBM3")
    (Gpu(index='0', uuid='GPU-5f', name='NVIDIA H100 80GB HBM3'),)
    """
    lines = (line.split(",", 2) for line in listing.splitlines() if line.count(",") > 1)
    return tuple(Gpu(*(part.strip() for part in line)) for line in lines)


def choose_visible(gpus: tuple[Gpu, ...], visible: str) -> tuple[Gpu, ...]:
    r"""Keep the GPUs that CUDA_VISIBLE_DEVICES names, in its order; as CUDA, stop at the first unknown one.

    >>> choose_visible(parse_gpus("0, GPU-5f, A\n1, GPU-77, B"), "1,GPU-5")
    (Gpu(index='1', uuid='GPU-77', name='B'), Gpu(index='0', uuid='GPU-5f', name='A'))
    """
    chosen: list[Gpu] = []
    for wanted in visible.split(","):
        name = wanted.strip()
        found = [gpu for gpu in gpus if name == gpu.index or (name and gpu.uuid.startswith(name))]
        if not found:
            break
        chosen.append(found[0])
    return tuple(chosen)
