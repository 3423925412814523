"""Write the demo's pictures: drawn shapes in the formats and folders that people have.

    python jobs/demo_pictures.py --out build/demo/pictures

The same seed gives the same bytes; a second run changes nothing.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from detector.annotations.drawn_dataset import write_drawn_dataset
from detector.annotations.picture_files import write_demo_pictures


def main(arguments: Sequence[str]) -> int:
    """Write the pictures and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--count", type=int, default=24, help="whole pictures (default 24)")
    parser.add_argument("--seed", type=int, default=0, help="of the pictures (default 0)")
    parser.add_argument("--annotated", action="store_true", help="a set to train on, with an XML beside each")
    options = parser.parse_args(arguments)
    if options.annotated:
        write_drawn_dataset(options.out, count=options.count, seed=options.seed)
        print(f"{options.out}: {options.count} pictures with their annotations", file=sys.stderr)
        return 0
    written = write_demo_pictures(options.out, count=options.count, seed=options.seed)
    print(
        f"{options.out}: {options.count} pictures, a clip and 2 broken files, {written} of them new",
        file=sys.stderr,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
