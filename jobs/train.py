"""Train a detection model on annotated photos, choose the best, export and register it.

    python jobs/train.py --config conf/train.yaml --data.root DIR --tracking.uri URI
    python jobs/train.py --from-pipeline-config pipeline.config --out train.yaml

--help explains every setting. Exit codes: 0 done, 2 settings or data refused and nothing trained, 1 anything
else; started again, the same command goes on where it was stopped.
"""

import sys
import traceback
from collections.abc import Sequence

from detector.errors import DetectorError, LabelMapError, SettingsError
from detector.reports.terminal import show_progress
from detector.settings import load_settings
from detector.training.outcome_text import summarise
from detector.training.train_settings import TrainSettings


def main(arguments: Sequence[str]) -> int:
    """Train, print the outcome's one JSON line last, and return the exit code."""
    try:
        if "--from-pipeline-config" in arguments:
            from detector.training.pipeline_config.command import run_conversion

            return run_conversion(arguments)
        settings = load_settings(TrainSettings, arguments)
        from detector.training.train import train

        with show_progress() as watch:
            outcome = train(settings, watch, lambda line: print(line, file=sys.stderr))
        print(summarise(outcome))
    except DetectorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, SettingsError | LabelMapError) else 1
    except Exception:  # noqa: BLE001 (the last resort: everything else is exit code 1, with its trace)
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
