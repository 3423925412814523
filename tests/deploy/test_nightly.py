"""The nightly script with jobs made up for it: what is tried again, what is not, two at once, killed in the middle."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
NIGHTLY = PROJECT / "conf" / "nightly"
SCRIPT = NIGHTLY / "nightly.sh"
pytestmark = pytest.mark.skipif(
    shutil.which("flock") is None, reason="flock is missing: apt-get install util-linux"
)


@pytest.fixture
def place(tmp_path):
    """Give a folder with a job: it notes each start, sleeps, and leaves with the next code of ``codes``."""
    job = tmp_path / "job.sh"
    job.write_text(
        "#!/bin/sh\n"
        "echo started >>starts\n"
        "n=$(wc -l <starts)\n"
        "trap 'echo ended by TERM; exit 0' TERM\n"
        "echo $$ >pid\n"
        '[ -f hold ] && while [ -f hold ]; do sleep 0.05; done\n'
        'exit "$(sed -n "${n}p" codes)"\n'
    )  # fmt: skip
    job.chmod(0o755)
    yield tmp_path
    (tmp_path / "hold").unlink(missing_ok=True)  # a job that a failed test left behind ends


def start(place, *command, **settings):
    """Start nightly.sh for the job, or for a command."""
    environment = {"NIGHTLY_STATE": "state", "NIGHTLY_LOGS": "logs", "NIGHTLY_PAUSE_S": "0"} | settings
    return subprocess.Popen(
        [SCRIPT, "score", *(command or ("./job.sh",))],
        cwd=place, env=os.environ | environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process):
    """Wait for it; give the exit code and what it printed."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out + err


def wait_until(met):
    """Wait until something holds."""
    deadline = time.monotonic() + 60
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def count_starts(place):
    """Count how often the job was started."""
    file = place / "starts"
    return len(file.read_text().splitlines()) if file.exists() else 0


@pytest.mark.parametrize(
    ("codes", "code", "starts"),
    [
        ([0], 0, 1),
        ([1, 0], 0, 2),
        ([1, 1, 1, 0], 1, 3),
        ([2], 2, 1),
        ([1, 2], 2, 2),
        ([3], 3, 1),
        ([137], 137, 1),
    ],
)
def test_only_exit_code_1_is_tried_again(place, codes, code, starts):
    """The last code is the script's; each is in the log; cron gets mail of failures alone."""
    (place / "codes").write_text("\n".join(map(str, codes)) + "\n")
    returned, printed = finish(start(place))
    assert (returned, count_starts(place)) == (code, starts)
    log = (place / "logs" / "score.log").read_text()
    assert list(map(int, re.findall(r"exit code (\d+) after", log))) == codes[:starts]
    assert (printed == "") == (code == 0)


def test_two_at_once(place):
    """The second leaves with 75 and starts nothing; another name has a lock of its own."""
    (place / "hold").touch()
    (place / "codes").write_text("0\n0\n")
    first = start(place)
    wait_until(lambda: count_starts(place))
    code, printed = finish(start(place))
    assert (code, count_starts(place)) == (75, 1)
    assert "another run is at work" in printed
    other = subprocess.run(
        [SCRIPT, "maintain", "true"],
        cwd=place,
        env=os.environ | {"NIGHTLY_STATE": "state", "NIGHTLY_LOGS": "logs"},
        check=False,
    )
    assert other.returncode == 0
    (place / "hold").unlink()
    assert finish(first) == (0, "")
    assert finish(start(place))[0] == 0


def test_a_script_killed_alone_leaves_the_lock_to_its_job(place):
    """Kill -9 of nightly.sh in the middle: while its job works no other starts; afterwards one does."""
    (place / "hold").touch()
    (place / "codes").write_text("0\n0\n")
    first = start(place)
    wait_until((place / "pid").exists)
    first.kill()
    first.wait()
    assert finish(start(place))[0] == 75
    (place / "hold").unlink()
    wait_until(lambda: finish(start(place))[0] == 0)


def test_told_to_stop_it_stops_the_job_and_tries_no_more(place):
    """TERM goes on to the job, which ends in its own way; the code tells the signal."""
    (place / "hold").touch()
    (place / "codes").write_text("0\n")
    running = start(place)
    wait_until((place / "pid").exists)
    running.send_signal(signal.SIGTERM)
    code, _ = finish(running)
    assert (code, count_starts(place)) == (143, 1)
    assert "ended by TERM" in (place / "logs" / "score.log").read_text()


def test_told_to_stop_while_it_waits(place):
    """TERM between two tries ends it at once."""
    (place / "codes").write_text("1\n0\n")
    running = start(place, NIGHTLY_PAUSE_S="3600")
    log = place / "logs" / "score.log"
    wait_until(lambda: log.exists() and "once more" in log.read_text())
    running.send_signal(signal.SIGTERM)
    assert finish(running)[0] == 143
    assert count_starts(place) == 1


def test_what_cannot_be_started_is_told(place):
    """A command that isn't there, and a name that would leave the folder."""
    code, printed = finish(start(place, "./nothing-here"))
    assert code == 127
    assert "nothing-here" in printed
    refused = subprocess.run(
        [SCRIPT, "../score", "true"], cwd=place, capture_output=True, text=True, check=False
    )
    assert (refused.returncode, "usage" in refused.stderr) == (64, True)


def test_a_real_job_s_refusal_is_not_tried_again(place):
    """jobs/score.py with a typo: 2, once, and its words are in the mail."""
    code, printed = finish(
        start(place, sys.executable, str(PROJECT / "jobs" / "score.py"), "--media.pathz", "x")
    )
    assert code == 2
    assert "media.pathz" in printed
    assert "try 2" not in printed


def test_shell_scripts_are_clean():
    """Every shell script of conf/, by shellcheck with all its checks of style."""
    scripts = sorted((PROJECT / "conf").rglob("*.sh"))
    assert SCRIPT in scripts
    linter = Path(sys.executable).with_name("shellcheck")
    found = subprocess.run(
        [linter, "--severity=style", *scripts], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_takes_the_units(tmp_path):
    """Unknown keys, bad times and missing programs are complaints; the paths are those of this checkout."""
    interpreter = Path(sys.executable).parent.parent
    for unit in [*NIGHTLY.glob("*.service"), *NIGHTLY.glob("*.timer")]:
        text = (
            unit.read_text()
            .replace("/opt/detector/.venv", str(interpreter))
            .replace("/opt/detector", str(PROJECT))
        )
        (tmp_path / unit.name).write_text(text)
    units = [tmp_path / "detector@score.service", *tmp_path.glob("*.timer")]
    shutil.copy(tmp_path / "detector@.service", units[0])
    shutil.copy(tmp_path / "detector@.service", tmp_path / "detector@maintain.service")
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True, text=True, check=False, env=os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )  # fmt: skip
    complaints = [line for line in found.stderr.splitlines() if "detector" in line]
    assert (found.returncode, complaints) == (0, [])


@pytest.mark.skipif(shutil.which("logrotate") is None, reason="logrotate is not here")
def test_logrotate_turns_the_log(tmp_path):
    """A forced turn leaves an empty log and the old one beside it."""
    log = tmp_path / "score.log"
    log.write_text("a night\n")
    text = (NIGHTLY / "logrotate").read_text().replace("/var/log/detector", str(tmp_path))
    settings = tmp_path / "logrotate.conf"
    settings.write_text(re.sub(r" +(su|create) .*\n", "", text))
    settings.chmod(0o644)
    tmp_path.chmod(0o755)
    subprocess.run(["logrotate", "--force", "--state", tmp_path / "state", settings], check=True)
    assert [file.read_text() for file in tmp_path.glob("score.log-*")] == ["a night\n"]


def test_crontab_has_user_and_programs():
    """Five fields of time, the user, then nightly.sh with a name; the jobs are there."""
    lines = [line for line in (NIGHTLY / "crontab").read_text().splitlines() if re.match(r"[\d*]", line)]
    assert len(lines) == 2
    for line in lines:
        words = line.split()
        assert words[5:7] == ["detector", "$NIGHTLY"]
        assert (PROJECT / words[9].replace("$JOBS", "jobs")).is_file()
