"""Lines of JSON on standard error, one each, that hold nothing of what clients sent.

Owns the form. Refuses the text of exceptions: their class and place tell enough.
"""

import json
import logging
import traceback


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        if record.name == "detector.serving":
            fields = json.loads(record.getMessage())
        else:
            fields = {"message": str(record.msg)}  # not its arguments, which may come from a request
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            frames = traceback.extract_tb(error.__traceback__)[-6:]
            fields |= {
                "unexpected": type(error).__name__,
                "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
            }
        when = self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z")
        return json.dumps({"time": when, "level": record.levelname.lower()} | fields)


def start_logging() -> None:
    """Let this server's and uvicorn's loggers write to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine())
    for name, level in (("detector.serving", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
        logger.setLevel(level)
    logging.getLogger("asyncio").handlers[:] = [handler]
