"""Train a detection model on annotated photos, choose the best, export and register it.

    python jobs/train.py --config conf/train.yaml --data.root DIR --tracking.uri URI
    python jobs/train.py --from-pipeline-config pipeline.config --out train.yaml

--help explains every setting. Exit codes: 0 done, 2 settings or data refused and nothing trained, 1 anything
else; started again, the same command goes on where it was stopped.
"""

import sys
import traceback
from collections.abc import Sequence

from detector.errors import DetectorError, SettingsError
from detector.redaction import make_safe
from detector.reports.terminal import open_console, show_progress
from detector.reports.training_pages import show_training
from detector.settings_sources import load_settings
from detector.training.train_settings import TrainSettings


def main(arguments: Sequence[str]) -> int:
    """Train, show, print one JSON line last, and return the exit code."""
    settings = None
    try:
        if any(argument.partition("=")[0] == "--from-pipeline-config" for argument in arguments):
            from detector.training.pipeline_config.command import run_conversion

            return run_conversion(arguments)
        settings = load_settings(TrainSettings, arguments)
        from detector.training.outcome_text import summarise  # after the settings: --help needs no TensorFlow
        from detector.training.train import train

        with show_progress() as watch:
            outcome = train(settings, watch, lambda line: print(line, file=sys.stderr, flush=True))
        measured = outcome.release.test or outcome.release.validation
        for page in show_training(measured, outcome.leaderboard, open_console(), outcome.folder):
            outcome.keep(page)
            print(f"Open {page}", file=sys.stderr)
        print(summarise(outcome), flush=True)
    except DetectorError as error:
        print(f"error: {make_safe(error, settings)}", file=sys.stderr)
        return 2 if isinstance(error, SettingsError) else 1
    except Exception:  # noqa: BLE001 (the last resort: everything else is exit code 1, with its trace)
        print(make_safe(traceback.format_exc(), settings), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
