"""What checking many XML files costs beside parsing them, and whether memory grows with their number.

`make bench` prints seconds of processor time, all processes together (others on the machine then count
little), the sides in turn, and the largest memory of one process. Parsing is a pool of as many processes as
there are cores, in which lxml makes a tree of each file; reading makes boxes of the trees, too.
"""

import argparse
import ctypes
import gc
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from lxml import etree

from detector.annotations.annotation import Box
from detector.annotations.voc_xml import format_voc, parse_voc

PROJECT = Path(__file__).resolve().parents[2]
SIDES = ("check", "parse", "read")
LABELS = ("car", "bus", "cat", "dog")
SIZE_WH_PX = (640, 480)
CHUNK_FILES = 500
PARSER = etree.XMLParser(resolve_entities=False, no_network=True)
ADOPT_ORPHANS = 36  # prctl's PR_SET_CHILD_SUBREAPER


def main() -> None:
    """Measure sets of a tenth of the files and of all; with --side, only run that side on --folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=SIDES)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.side is not None:
        print(json.dumps(run_side(given.side, given.folder)))
        return
    with tempfile.TemporaryDirectory() as name:
        for files in (given.files // 10, given.files):
            folder = Path(name) / str(files)
            write_files(folder, files)
            report(files, [[measure(side, folder) for side in SIDES] for _ in range(given.rounds)])


def report(files: int, rounds: list[list[dict[str, float]]]) -> None:
    """Print one size's medians and ratios."""
    seconds = [statistics.median(one["cpu_s"] for one in side) for side in zip(*rounds, strict=True)]
    peak_mib = max(one[0]["peak_mib"] for one in rounds)
    shown = ", ".join(f"{side} {cpu_s:.2f} s" for side, cpu_s in zip(SIDES, seconds, strict=True))
    print(f"\n{files:,} XML files, processor time: {shown}; check's largest process {peak_mib:.0f} MiB")
    for side, cpu_s in zip(SIDES[1:], seconds[1:], strict=True):
        print(f"  check / {side}: {seconds[0] / cpu_s:.2f}")


def write_files(folder: Path, files: int) -> None:
    """Write pictures' names and XML files with one to five boxes each, 1,000 to a folder."""
    for number in range(files):
        place = folder / f"{number // 1000:03}"
        if number % 1000 == 0:
            place.mkdir(parents=True)
        boxes = []
        for box in range(1 + number % 5):
            left, top = number * 37 % 500, (number + box * 61) % 350
            right, bottom = left + 5 + number * 13 % 130, top + 5 + (number + box) * 7 % 120
            boxes.append(Box(LABELS[number * (box + 1) % 4], (left, top, right, bottom)))
        name = f"img_{number:06}.jpg"
        (place / name).touch()
        content = format_voc(boxes, folder=place.name, filename=name, size_wh_px=SIZE_WH_PX)
        (place / name).with_suffix(".xml").write_bytes(content)


def measure(side: str, folder: Path) -> dict[str, float]:
    """Run this file with --side."""
    words = [sys.executable, __file__, "--side", side, "--folder", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def run_side(side: str, folder: Path) -> dict[str, float]:
    """Run one side in processes of its own; give their processor time and the largest one's memory."""
    # A process that ends before its children leaves them to another one; those of the check are ours, too.
    ctypes.CDLL(None).prctl(ADOPT_ORPHANS, 1, 0, 0, 0)
    if side == "check":
        words = [sys.executable, "jobs/dataset.py", "check", str(folder), "--pictures", "names"]
        done = subprocess.run(words, cwd=PROJECT, stdout=subprocess.DEVNULL, check=False)
        if done.returncode not in {0, 2}:  # 2: the drawn boxes have mistakes
            sys.exit(f"the check failed: exit code {done.returncode}")
    else:
        parse_all(folder, make_tree if side == "parse" else make_boxes)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    own = used if side != "check" else used[1:]
    cpu_s = sum(one.ru_utime + one.ru_stime for one in own)
    return {"cpu_s": cpu_s, "peak_mib": used[1].ru_maxrss / 1024}


def parse_all(folder: Path, function: Callable[[bytes], None]) -> None:
    """List and parse all files in a pool."""
    files = sorted(
        f"{at}/{name}" for at, _, names in os.walk(folder) for name in names if name.endswith(".xml")
    )
    chunks = [(function, files[start : start + CHUNK_FILES]) for start in range(0, len(files), CHUNK_FILES)]
    with multiprocessing.get_context("fork").Pool(os.cpu_count(), gc.disable) as pool:
        pool.starmap(parse_some, chunks, chunksize=1)
        pool.close()
        pool.join()


def parse_some(function: Callable[[bytes], None], files: list[str]) -> None:
    """Parse some files."""
    for file in files:
        with open(file, "rb") as opened:  # noqa: PTH123 (as quick as it gets)
            function(opened.read())


def make_tree(content: bytes) -> None:
    """Do what lxml alone does."""
    etree.fromstring(content, PARSER)


def make_boxes(content: bytes) -> None:
    """Read the boxes, and forget them."""
    parse_voc(content, "")


if __name__ == "__main__":
    main()
