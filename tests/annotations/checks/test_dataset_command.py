"""jobs/dataset.py from the outside: what it prints, writes and returns."""

import json

import pytest

from detector.annotations.dataset_settings import CheckSettings, SplitSettings
from detector.annotations.split_manifest import read_split_manifest


def test_check_of_clean_data_is_exit_code_0(run_job, photos, capsys):
    """Counts on standard output, nothing on standard error."""
    assert run_job("check", photos) == 0
    printed = capsys.readouterr()
    assert "12 images: 12 annotated" in printed.out
    assert "nothing would break training" in printed.out
    assert printed.err == ""


def test_check_writes_json_and_page_and_returns_2(run_job, photos, write_xml, tmp_path, capsys):
    """One error: told on the terminal with its line, in JSON, on the page."""
    write_xml(photos / "photo_3.xml", [("star", 10, 10, 10, 50)])
    out, page = tmp_path / "new" / "report.json", tmp_path / "new" / "page.html"
    assert run_job("check", photos, "--out", out, "--page", page) == 2
    (problem,) = json.loads(out.read_text())["problems"]
    assert problem["code"] == "box-no-area"
    assert f"photo_3.xml:{problem['line']}:" in capsys.readouterr().out
    assert "box-no-area" in page.read_text()


def test_names_can_not_write_on_the_terminal(run_job, photos, write_xml, capsys):
    """Control characters in a class name are shown, not obeyed."""
    write_xml(photos / "photo_3.xml", [("st\x85ar\x9b31m[red]", 10, 10, 10, 50)])
    run_job("check", photos)
    printed = capsys.readouterr().out
    assert "\x9b" not in printed
    assert "[red]" in printed


def test_split_writes_the_same_manifest_again(run_job, photos, tmp_path, capsys):
    """The same seed is no other split; another seed is refused unless told to overwrite."""
    out = tmp_path / "split.csv"
    assert run_job("split", photos, "--out", out) == 0
    first = out.read_bytes()
    assert run_job("split", photos, "--out", out) == 0
    assert out.read_bytes() == first
    assert run_job("split", photos, "--out", out, "--seed", 5) == 2
    assert run_job("split", photos, "--out", out, "--seed", 5, "--overwrite") == 0
    assert len(read_split_manifest(out)) == 12
    assert run_job("check", photos, "--split", out) == 0


def test_split_leaves_out_what_can_not_be_used(run_job, photos, tmp_path):
    """A broken picture and a broken XML are told by exit code 2, and are in no split."""
    (photos / "photo_1.jpg").write_bytes(b"\xff\xd8\xff broken")
    (photos / "photo_2.xml").write_bytes(b"<annotation>")
    assert run_job("split", photos, "--out", tmp_path / "split.parquet") == 2
    images = {row.image for row in read_split_manifest(tmp_path / "split.parquet")}
    assert images == {f"photo_{number}.jpg" for number in range(12)} - {"photo_1.jpg", "photo_2.jpg"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["split", "PHOTOS", "--train", "0.9"],
        ["split", "PHOTOS", "--out", "split.txt"],
        ["check", "PHOTOS/nothing"],
        ["check", "PHOTOS", "--labels", "nothing.txt"],
        ["check", "PHOTOS", "--near_bits", "99"],
        ["convert", "PHOTOS", "--to", "word", "--out", "OUT"],
        ["convert", "PHOTOS", "--out", "OUT"],
        ["paint"],
        [],
    ],
)
def test_wrong_settings_are_exit_code_2(run_job, photos, tmp_path, capsys, arguments):
    """Refused with a line that says why; nothing is written."""
    given = [word.replace("PHOTOS", str(photos)).replace("OUT", str(tmp_path / "out")) for word in arguments]
    assert run_job(*given) == 2
    assert capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["check", "split", "convert", "frames"])
def test_every_command_has_help(run_job, capsys, command):
    """With its own name and every setting."""
    with pytest.raises(SystemExit) as left:
        run_job(command, "--help")
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: dataset.py {command}")


def test_spark_is_used_only_when_wanted(photos):
    """By its master, or by a number of pictures."""
    assert not CheckSettings(folder=photos).wants_spark(10**6)
    assert CheckSettings(folder=photos, spark={"master": "local[2]"}).wants_spark(1)
    assert [SplitSettings(folder=photos, spark_above=10).wants_spark(n) for n in (10, 11)] == [False, True]
