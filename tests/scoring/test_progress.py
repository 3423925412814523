"""Progress: a line on a terminal, nothing elsewhere."""

import io

from detector.scoring.progress import Progress, Share


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        """Say so."""
        return True


def test_a_terminal_sees_the_line():
    """Written over itself, ended by close."""
    terminal = Terminal()
    progress = Progress(Share(10, 0, 10), terminal)
    progress.show(Share(5, 0, 5))
    progress.close()
    assert "5 of 10 media (50%)" in terminal.getvalue()
    assert terminal.getvalue().endswith("\n")


def test_seconds_of_video_are_counted():
    """Half of a clip of two minutes, as parts of one medium."""
    terminal = Terminal()
    Progress(Share(1, 120, 30), terminal).show(Share(0.5, 60, 15))
    assert "0 of 1 media, 0:01:00 of 0:02:00 of video (50%)" in terminal.getvalue()


def test_a_pipe_sees_nothing():
    """Logs stay free of it."""
    pipe = io.StringIO()
    progress = Progress(Share(10, 0, 10), pipe)
    progress.show(Share(5, 0, 5))
    progress.close()
    assert pipe.getvalue() == ""
