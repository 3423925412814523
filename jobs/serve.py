"""Serve a detection model over HTTP: see README.md, and --help for every setting."""

import sys
import traceback

from detector.errors import DetectorError, ModelError, SettingsError
from detector.serving.serve_settings import ServeJobSettings
from detector.settings_sources import load_settings

DONE, UNEXPECTED, REFUSED = 0, 1, 2


def main(arguments: list[str]) -> int:
    """Run the server until a signal ends it, and return the exit code."""
    try:
        settings = load_settings(ServeJobSettings, arguments)
        from detector.scoring.scorer import load_scorer  # after the settings: --help needs no model code
        from detector.serving.server import serve

        serve(load_scorer(settings.model), settings.serve)
    except (SettingsError, ModelError) as error:
        print(f"refused: {error}", file=sys.stderr)
        return REFUSED
    except DetectorError as error:
        print(f"error: {error}", file=sys.stderr)
        return UNEXPECTED
    except Exception:  # noqa: BLE001 (the last resort: everything else is exit code 1, with its trace)
        traceback.print_exc()
        return UNEXPECTED
    return DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
