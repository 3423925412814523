"""Measure a detection model, ours or anybody's, on labelled pictures: see README.md, and --help.

python jobs/evaluate.py --data.root photos --model.uri MODEL --model.labels label_map.pbtxt --page out.html
python jobs/evaluate.py --data.root photos --tables.root lake --tables.labels label_map.pbtxt
"""

import json
import sys
import traceback
from collections.abc import Sequence

from detector.errors import DetectorError, EvaluationError, ModelError, SettingsError
from detector.measurement.evaluate_settings import EvaluateSettings
from detector.redaction import make_safe
from detector.settings_sources import load_settings

DONE, UNEXPECTED, REFUSED = 0, 1, 2


def main(arguments: Sequence[str]) -> int:
    """Measure, show, and return the exit code; the last line of standard output is one JSON object."""
    settings = None
    try:
        settings = load_settings(EvaluateSettings, arguments)
        from detector.measurement.evaluate import evaluate  # after the settings: --help needs no TensorFlow
        from detector.reports.evaluation_page import show_measurement
        from detector.reports.terminal import open_console, show_progress

        with show_progress() as watch:
            measurement = evaluate(settings, watch)
        show_measurement(measurement, open_console(), settings.page)
    except (SettingsError, ModelError, EvaluationError) as error:
        print(f"refused: {make_safe(error, settings)}", file=sys.stderr)
        return REFUSED
    except DetectorError as error:
        print(f"error: {make_safe(error, settings)}", file=sys.stderr)
        return UNEXPECTED
    except Exception:  # noqa: BLE001 (the last resort: everything else is exit code 1, with its trace)
        print(make_safe(traceback.format_exc(), settings), file=sys.stderr)
        return UNEXPECTED
    print(json.dumps(measurement.summarise()), flush=True)
    return DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
