"""Score folders of photos into Delta tables: see README.md, and --help for every setting."""

import sys
import traceback

from detector.errors import DetectorError, ModelError, SettingsError
from detector.redaction import make_safe
from detector.settings import ScoreSettings
from detector.settings_sources import load_settings

DONE, UNEXPECTED, REFUSED, TOO_MANY_FAILED = 0, 1, 2, 3


def main(arguments: list[str]) -> int:
    """Run the job and return its exit code; its summary is the last line of standard output."""
    settings = None
    try:
        settings = load_settings(ScoreSettings, arguments)
        from detector.scoring.scorer import load_scorer  # after the settings: --help needs no Spark

        scorer = load_scorer(settings.model)
        from detector.scoring.job import score
        from detector.session import open_session

        spark = open_session("detector score", master=settings.spark.master, conf=settings.spark.conf)
        summary = score(spark, settings, scorer=scorer)
    except (SettingsError, ModelError) as error:
        print(f"refused: {make_safe(error, settings)}", file=sys.stderr)
        return REFUSED
    except DetectorError as error:
        print(f"error: {make_safe(error, settings)}", file=sys.stderr)
        return UNEXPECTED
    except Exception:  # noqa: BLE001 (the last resort: everything else is exit code 1, with its trace)
        print(make_safe(traceback.format_exc(), settings), file=sys.stderr)
        return UNEXPECTED
    print(summary.to_json(), flush=True)
    failed_fraction = summary.failed / max(1, summary.scored + summary.failed)
    return TOO_MANY_FAILED if failed_fraction > settings.run.max_failed_fraction else DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
