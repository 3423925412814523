"""What there is to compute with on this machine: ``make doctor``.

Owns the lines that it prints. Exit code 1 where a GPU is there that TensorFlow can't use.
"""

import os
import platform
import shutil
import sys
from importlib.metadata import version

from detector.errors import InstallationError
from detector.installation.java import find_java
from detector.training.devices import find_devices


def main() -> int:
    """Print versions and devices."""
    devices = find_devices()
    try:
        java = str(find_java())
    except InstallationError as error:
        java = f"none: {error}"
    lines = [
        f"Python       {platform.python_version()}",
        f"Java         {java}",
        f"Spark        {version('pyspark')}, Delta {version('delta-spark')}",
        f"TensorFlow   {devices.tensorflow}, Keras {version('keras')}",
        f"CPU          {os.cpu_count()} cores",
        f"GPU          {', '.join(devices.gpus) or 'none that TensorFlow can use'}",
        f"GPU driver   {', '.join(devices.driver_gpus) or 'lists no GPU'}",
        f"free disk    {shutil.disk_usage('.').free // 1024**3} GiB here",
    ]
    print("\n".join(lines))  # noqa: T201 (it's a program)
    if devices.problem is not None:
        print(f"problem: {devices.problem}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
