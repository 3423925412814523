"""Pictures per second and time of an answer of jobs/serve.py, against the same model asked without HTTP.

`make bench` prints the ceiling (decode in threads, batches through as many copies of the model as the server has, in one
process, no HTTP), what closed clients in another process reach, and p50 and p99 at 50, 80 and 100% of that, asked at
even intervals whatever comes back; and the time of cores that a picture costs on each side, which others at work on the
machine change little. Loopback only.
"""

import argparse
import multiprocessing
import statistics
import sys
import threading
import time
from pathlib import Path

import psutil

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT))

from tests.serving.running import KEY, Running, encode_picture  # noqa: E402

MODELS, CLIENTS = 2, 16
YOLO = PROJECT.parent / "shared/data/models/yolo_fastest_xl_coco/saved_model"


def main() -> None:
    """Measure every model that is at hand."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    pictures = [encode_picture(seed, height_px=480, width_px=640) for seed in range(32)]
    for title, flags in list_cases():
        measure(title, flags, pictures, given.seconds, given.rounds)


def list_cases():
    """List (title, flags of the model): the demo's, and a real one where it is there."""
    cases = [("demo model", ["--model.uri", str(PROJECT / "conf/demo/saved_model")])]
    if YOLO.is_dir():
        cases.append(("Yolo-Fastest XL, a picture a call", ["--model.uri", str(YOLO)]))
    return cases


def measure(title, flags, pictures, seconds, rounds):
    """Measure the sides in turn on one model."""
    running = Running("--serve.models", str(MODELS), "--no-serve.access_log", *flags)
    try:
        running.wait_until_ready()
        ceilings, reached, costs, server_costs, client_costs = [], [], [], [], []
        for _ in range(rounds):
            done, cost_s = in_process(measure_ceiling, flags[1], pictures, seconds)
            ceilings.append(done / seconds)
            costs.append(1000 * cost_s / done)
            before_s = count_core_s(running.process.pid)
            answers, client_s = in_process(ask_closed, running.port, pictures, seconds)
            reached.append(len(answers) / seconds)
            server_costs.append(1000 * (count_core_s(running.process.pid) - before_s) / len(answers))
            client_costs.append(1000 * client_s / len(answers))
        ratios = [rate / ceiling for rate, ceiling in zip(reached, ceilings, strict=True)]
        print(f"\nserver, {title}, 640 x 480, {CLIENTS} clients, {rounds} rounds")
        print(
            f"  ceiling {statistics.median(ceilings):.0f} pictures/s, server {statistics.median(reached):.0f}"
        )
        print(
            f"  server / ceiling {statistics.median(ratios):.2f}   (from {min(ratios):.2f} to {max(ratios):.2f})"
        )
        medians = [statistics.median(one) for one in (costs, server_costs, client_costs)]
        print("  ms of a core a picture: without HTTP {:.2f}, server {:.2f}, client {:.2f}".format(*medians))
        for part in (0.5, 0.8, 1.0, 2.0):
            rate = part * statistics.median(reached)
            answers, _ = in_process(ask_open, running.port, pictures, seconds, rate)
            times = sorted(seconds for status, seconds in answers if status == 200)
            others = sorted({status for status, _ in answers} - {200})
            told = f"{len(answers) - len(times)} refused {others}" if others else "none refused"
            print(
                f"  at {part:.0%}: p50 {percentile(times, 0.5):.0f} ms, p99 {percentile(times, 0.99):.0f} ms, {told}"
            )
    finally:
        running.stop()


def count_core_s(pid):
    """Add up the seconds of cores that a process and those below it have taken."""
    process = psutil.Process(pid)
    return sum(sum(one.cpu_times()[:2]) for one in (process, *process.children(recursive=True)))


def in_process(work, *arguments):
    """Run ``work`` in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def percentile(times, part):
    """Give a percentile in milliseconds."""
    return 1000 * times[min(len(times) - 1, int(part * len(times)))] if times else float("nan")


def measure_ceiling(model, pictures, seconds):
    """Decode and predict without a server: threads with a copy of the model each, batches of the model's size."""
    from detector.media.decoding import decode_image
    from detector.models.predictor import load_predictor, start_tensorflow
    from detector.scoring.scorer import load_scorer
    from detector.settings import ModelSettings

    scorer = load_scorer(ModelSettings(uri=model))
    start_tensorflow(threads=1, gpu=None, calls=MODELS)
    loaded = load_predictor(scorer.path, scorer.signature, scorer.settings)
    counts = [0] * MODELS

    def work(place, predictor, end):
        while time.monotonic() < end:
            batch = [
                decode_image(one, max_pixels=10**8, canvas_hw=predictor.canvas_hw)
                for one in pictures[: predictor.batch_size]
            ]
            predictor.predict([one.pixels for one in batch], [one.pixels.shape[:2] for one in batch])
            counts[place] += len(batch)

    for warm in (True, False):
        counts[:] = [0] * MODELS
        end, before_s = time.monotonic() + (1 if warm else seconds), time.process_time()
        threads = [threading.Thread(target=work, args=(n, loaded.share(), end)) for n in range(MODELS)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    return sum(counts), time.process_time() - before_s


def ask_closed(port, pictures, seconds):
    """Ask from ``CLIENTS`` connections, each as soon as it's answered; give (status, seconds) of each, and what asking took."""
    answers = []
    end = time.monotonic() + seconds

    def work(place):
        connection = connect(port)
        while time.monotonic() < end:
            answers.append(ask(connection, pictures[place % len(pictures)], time.monotonic()))

    threads = [threading.Thread(target=work, args=(place,)) for place in range(CLIENTS)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return answers, time.process_time()


def ask_open(port, pictures, seconds, rate):
    """Ask ``rate`` times a second whatever comes back; an answer's time counts from when it was due."""
    answers, taken, lock = [], iter(range(int(rate * seconds))), threading.Lock()
    started = time.monotonic() + 0.2

    def work():
        connection = connect(port)
        while True:
            with lock:
                number = next(taken, None)
            if number is None:
                return
            due = started + number / rate
            time.sleep(max(0, due - time.monotonic()))
            answers.append(ask(connection, pictures[number % len(pictures)], due))

    threads = [threading.Thread(target=work) for _ in range(96)]  # more than the queue has places
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return answers, time.process_time()


def connect(port):
    """Give a connection that is kept."""
    import http.client

    return http.client.HTTPConnection("127.0.0.1", port, timeout=60)


def ask(connection, picture, since):
    """Post a picture; give the status and the seconds since."""
    connection.request("POST", "/detect", picture, {"X-API-Key": KEY})
    response = connection.getresponse()
    response.read()
    return response.status, time.monotonic() - since


if __name__ == "__main__":
    main()
