"""What three files that crash, hang and starve a decoder cost a run of 10,000, and what isolation costs one without.

`make bench` runs jobs/score.py with each folder in turn and prints the run's own seconds. Poison comes from
decoders that a test puts in front of the real ones.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from detector.annotations.shapes import draw_picture

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "tests" / "scoring"))
from poison import CRASHING, HUNGRY, SPINNING, poison, write_site  # noqa: E402


def main() -> None:
    """Run the sides in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        site = write_site(folder / "site")
        clean = draw(folder / "clean", given.files)
        poisoned = folder / "poisoned"
        shutil.copytree(clean, poisoned, copy_function=os.link)
        for number, mark in ((given.files // 4, CRASHING), (given.files // 2, SPINNING), (5, HUNGRY)):
            file = poisoned / f"{number:05d}.jpg"
            content = file.read_bytes()
            file.unlink()  # the clean folder has the same file
            file.write_bytes(content)
            poison(file, mark)
        sides = {
            "clean, beside the model": (clean, ["--no-run.decode_isolated"]),
            "clean, isolated": (clean, []),
            "poisoned, isolated": (poisoned, []),
        }
        found = {side: [] for side in sides}
        for number in range(given.rounds):
            for side, (media, flags) in sides.items():
                found[side].append(run(media, folder / f"tables{number}{side[:3]}", flags, site))
                shutil.rmtree(folder / f"tables{number}{side[:3]}")
        print(f"\n{given.files} drawn pictures of 640 x 480, the demo's model, {given.rounds} rounds")
        for side, seconds in found.items():
            print(
                f"  {side:24} {statistics.median(seconds):6.1f} s   (from {min(seconds):.1f} to {max(seconds):.1f})"
            )
        for one, other in (
            ("clean, isolated", "clean, beside the model"),
            ("poisoned, isolated", "clean, isolated"),
        ):
            ratios = [a / b for a, b in zip(found[one], found[other], strict=True)]
            print(
                f"  {one} / {other}: {statistics.median(ratios):.2f}   (from {min(ratios):.2f} to {max(ratios):.2f})"
            )


def draw(folder: Path, count: int) -> Path:
    """Draw 256 pictures and repeat them under other names."""
    folder.mkdir()
    for number in range(count):
        target = folder / f"{number:05d}.jpg"
        if number < 256:
            pixels, _, _ = draw_picture(np.random.default_rng(number), height_px=480, width_px=640)
            Image.fromarray(pixels).save(target, quality=90)
        else:
            shutil.copy(folder / f"{number % 256:05d}.jpg", target)
    return folder


def run(media: Path, tables: Path, flags: list[str], site: Path) -> float:
    """Score a folder as a user does; give the seconds of its last line."""
    words = [sys.executable, PROJECT / "jobs/score.py", "--media.paths", media, "--tables.root", tables]
    words += ["--model.uri", PROJECT / "conf/demo/saved_model", *flags]
    env = os.environ | {"PYTHONPATH": str(site)}
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])["seconds"]


if __name__ == "__main__":
    main()
