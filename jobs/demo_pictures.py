"""Write the demo's pictures: drawn shapes in the formats and folders that people have.

    python jobs/demo_pictures.py --out build/demo/pictures

The same seed gives the same bytes; a second run changes nothing.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from detector.annotations.picture_files import write_demo_pictures


def main(arguments: Sequence[str]) -> int:
    """Write the pictures and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--count", type=int, default=24, help="whole pictures (default 24)")
    parser.add_argument("--seed", type=int, default=0, help="of the pictures (default 0)")
    options = parser.parse_args(arguments)
    written = write_demo_pictures(options.out, count=options.count, seed=options.seed)
    print(
        f"{options.out}: {options.count} pictures, a clip and 2 broken files, {written} of them new",
        file=sys.stderr,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
