"""Make the demo's model again: train it on drawn pictures, measure it on others, export it.

    python jobs/demo_model.py --out conf/demo

Writes OUT/saved_model and OUT/label_map.pbtxt, prints one JSON object. Needs the dev dependencies.
"""

import argparse
import functools
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from detector.annotations.shapes import SHAPE_NAMES
from detector.training.drawn import fit_drawn
from detector.training.export import export_saved_model, write_label_map
from detector.training.fcos import FcosConfig, decode_boxes
from detector.training.validation import measure_drawn_ap


def main(arguments: Sequence[str]) -> int:
    """Train, export and measure; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for saved_model and label_map.pbtxt")
    parser.add_argument("--seed", type=int, default=0, help="of the weights and the pictures (default 0)")
    parser.add_argument("--pictures", type=int, default=4000, help="drawn for training (default 4000)")
    parser.add_argument("--epochs", type=int, default=12, help="times over them (default 12)")
    options = parser.parse_args(arguments)
    config = FcosConfig(class_count=len(SHAPE_NAMES))
    saved_model: Path = options.out / "saved_model"

    started = time.monotonic()
    model = fit_drawn(config, seed=options.seed, pictures=options.pictures, epochs=options.epochs)
    seconds = time.monotonic() - started
    # What an earlier run left would stay beside the new files.
    shutil.rmtree(saved_model, ignore_errors=True)
    decode = functools.partial(decode_boxes, config=config)
    export_saved_model(model, decode, canvas_px=config.canvas_px, out=saved_model)
    write_label_map(dict(enumerate(SHAPE_NAMES, 1)), options.out / "label_map.pbtxt")
    precision, precision_50 = measure_drawn_ap(saved_model, seed=options.seed, pictures=200)
    found = {"AP": round(precision, 3), "AP50": round(precision_50, 3), "training_s": round(seconds)}
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
