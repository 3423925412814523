"""Each mistake, planted in clean data, is found as itself; nothing is found in clean data."""

import json
import shutil

import pytest
from PIL import Image

BOX = ("star", 10, 10, 50, 50)
BAD_BOXES = {
    "box-no-area": ("star", 10, 10, 10, 50),
    "box-swapped": ("star", 50, 10, 10, 50),
    "box-outside": ("star", 80, 10, 130, 50),
    "box-over-edge": ("star", 80, 10, 121, 50),
}


def test_clean_data_has_no_problems(check, photos):
    """Twelve drawn pictures with right annotations: no error, no warning, no note."""
    report = check(photos)
    assert report.problems == ()
    assert (report.images, report.annotated, report.annotation_files) == (12, 12, 12)


@pytest.mark.parametrize("code", BAD_BOXES)
def test_bad_box_is_found_at_its_line(check, photos, write_xml, code):
    """One bad box beside a good one gives one problem, at the line where the box begins."""
    write_xml(photos / "photo_3.xml", [BOX, BAD_BOXES[code]])
    (problem,) = check(photos).problems
    lines = (photos / "photo_3.xml").read_text().splitlines()
    assert (problem.code, problem.file) == (code, "photo_3.xml")
    assert lines[problem.line - 1].strip() == "<object>"
    assert problem.line == max(number for number, line in enumerate(lines, 1) if "<object>" in line)
    assert (problem.severity == "error") == (code != "box-over-edge")


def test_box_drawn_twice_is_found_once(find, photos, write_xml):
    """The same class and edges again are a warning; another class there is none."""
    write_xml(photos / "photo_3.xml", [BOX, BOX, ("circle", *BOX[1:])])
    assert find(photos) == [("box-repeated", "warning", "photo_3.xml")]


def test_image_without_annotation_is_left_out_or_background(check, find, photos):
    """It is a warning, and none when such pictures are meant to be background."""
    (photos / "photo_5.xml").unlink()
    assert find(photos) == [("image-without-annotation", "warning", "photo_5.jpg")]
    assert (check(photos).unannotated, check(photos).background) == (1, 0)
    told = check(photos, unannotated_is_background=True)
    assert (told.problems, told.unannotated, told.background) == ((), 0, 1)


def test_annotation_without_image_is_an_error(find, photos):
    """An XML whose picture is gone."""
    (photos / "photo_5.jpg").unlink()
    assert find(photos) == [("annotation-without-image", "error", "photo_5.xml")]


@pytest.mark.parametrize("content", [b"", b"<annotation><object>", b'<!DOCTYPE a SYSTEM "/etc/passwd"><a/>'])
def test_unusable_xml_is_an_error_and_left_out(check, photos, content):
    """Empty, cut off, hostile: one error that names the file, and its picture is not background."""
    (photos / "photo_5.xml").write_bytes(content)
    report = check(photos)
    assert [(p.severity, p.file) for p in report.problems] == [("error", "photo_5.xml")]
    assert (report.images, report.left_out, report.annotation_files, report.background) == (11, 1, 12, 0)


def test_declared_size_is_compared_with_the_upright_picture(check, find, photos, draw, write_xml):
    """A picture that EXIF turns has the size that people see; annotated lying down, that is an error."""
    exif = Image.Exif()
    exif[0x0112] = 6
    draw(photos, "photo_5.jpg", 5, exif=exif)
    assert find(photos) == [("size-differs", "error", "photo_5.xml")]
    assert "EXIF" in check(photos).problems[0].message
    write_xml(photos / "photo_5.xml", [BOX], size_wh_px=(90, 120))
    assert find(photos) == []


@pytest.mark.parametrize("depth", ["pixels", "headers"])
def test_another_size_is_one_error(find, photos, write_xml, depth):
    """Annotated on a larger copy: the size is told, not each box that lies outside."""
    write_xml(photos / "photo_5.xml", [("star", 300, 200, 500, 400)], size_wh_px=(1200, 900))
    assert find(photos, depth=depth) == [("size-differs", "error", "photo_5.xml")]


def test_undecodable_picture_is_an_error(find, photos):
    """Half a JPEG decodes to nothing that can be trained on."""
    content = (photos / "photo_5.jpg").read_bytes()
    (photos / "photo_5.jpg").write_bytes(content[: len(content) // 2])
    assert find(photos) == [("image-undecodable", "error", "photo_5.jpg")]
    assert find(photos, depth="names") == []


def test_unknown_class_needs_a_label_map(check, find, photos, write_xml):
    """With a label map, a name that is not in it is an error with the name that was meant."""
    write_xml(photos / "photo_5.xml", [("traingle", *BOX[1:])])
    known = frozenset({"circle", "rectangle", "triangle", "star"})
    assert find(photos, known_labels=known) == [("class-unknown", "error", "photo_5.xml")]
    assert "'triangle'" in check(photos, known_labels=known).problems[0].message


@pytest.mark.parametrize(
    ("label", "code"),
    [("Star", "class-nearly-equal"), ("star ", "class-blanks"), ("sta-r", "class-nearly-equal")],
)
def test_nearly_equal_class_is_a_warning(find, photos, write_xml, label, code):
    """Case, blanks and hyphens make another class, which nobody meant."""
    write_xml(photos / "photo_5.xml", [(label, *BOX[1:])])
    assert (code, "warning", "photo_5.xml") in find(photos, rare_fraction=0)
    assert len(find(photos, rare_fraction=0)) == 1


def test_rare_class_is_a_warning(find, photos, write_xml):
    """One box of a class, and more than ten of each other one."""
    for number in range(12):
        write_xml(photos / f"photo_{number}.xml", [("circle", *BOX[1:]), ("star", 60, 10, 90, 50)])
    write_xml(photos / "photo_5.xml", [("comet", *BOX[1:])])
    assert find(photos) == [("class-rare", "warning", "photo_5.xml")]


def test_mistaken_names_do_not_hide_a_rare_class(find, photos, write_xml):
    """A class of one box among 24 of another is rare, however many typing errors have one box, too."""
    for number in range(12):
        write_xml(photos / f"photo_{number}.xml", [("raccoon", *BOX[1:]), ("raccoon", 60, 10, 90, 50)])
    for number, label in enumerate(["Raccoon", "raccoon ", "racoon", "comet"]):
        write_xml(photos / f"photo_{number}.xml", [(label, *BOX[1:])])
    near = [("class-nearly-equal", "warning", f"photo_{number}.xml") for number in (0, 2)]
    blanks = ("class-blanks", "warning", "photo_1.xml")
    assert sorted(find(photos)) == sorted([blanks, *near, ("class-rare", "warning", "photo_3.xml")])


def test_same_bytes_are_told_of_the_later_name(find, photos, write_xml):
    """A copy with the same boxes, and a copy with others."""
    shutil.copy(photos / "photo_3.jpg", photos / "zcopy.jpg")
    shutil.copy(photos / "photo_3.xml", photos / "zcopy.xml")
    assert find(photos) == [("image-duplicate", "warning", "zcopy.jpg")]
    write_xml(photos / "zcopy.xml", [BOX])
    assert find(photos) == [("duplicate-differs", "warning", "zcopy.jpg")]


def test_recompressed_and_resized_copy_is_a_near_duplicate(find, photos, write_xml):
    """The eye sees the same picture; the bytes don't show it."""
    with Image.open(photos / "photo_3.jpg") as image:
        image.resize((240, 180)).save(photos / "zcopy.jpg", quality=40)
    write_xml(photos / "zcopy.xml", [BOX], size_wh_px=(240, 180))
    assert find(photos) == [("image-near-duplicate", "warning", "zcopy.jpg")]


def test_several_boxes_of_an_object_are_counted_not_blamed(check, photos, write_xml):
    """Three boxes around one object and one elsewhere: one object of three boxes, no problem."""
    boxes = [BOX, ("star", 11, 10, 51, 50), ("star", 10, 12, 50, 52), ("circle", 60, 10, 90, 50)]
    before = check(photos).clusters
    write_xml(photos / "photo_3.xml", boxes)
    report = check(photos)
    assert report.problems == ()
    assert (before.objects, before.image_names) == (0, ())
    clusters = report.clusters
    assert (clusters.objects, clusters.boxes, clusters.images, clusters.image_names) == (
        1,
        3,
        1,
        ("photo_3.jpg",),
    )


def test_json_has_stable_keys(check, photos, write_xml):
    """The report survives JSON, and its keys are those that programs rely on."""
    write_xml(photos / "photo_3.xml", [BAD_BOXES["box-outside"]])
    content = json.loads(json.dumps(check(photos).to_json()))
    assert sorted(content) == [
        "anchors", "annotated", "annotation_files", "background", "boxes", "classes", "clusters", "difficult",
        "format_version", "images", "left_out", "measures", "occluded", "pictures_read", "problem_counts", "problems",
        "quantiles", "root", "truncated", "unannotated", "unannotated_is_background", "verified",
    ]  # fmt: skip
    assert sorted(content["problems"][0]) == ["advice", "code", "file", "line", "message", "severity"]
    assert content["problem_counts"] == {"error": 1, "warning": 0, "note": 0}


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "images", "boxes", "errors"),
    [
        ("raccoon", 200, 217, []),
        ("bccd_trainval", 292, 3943, ["box-no-area"] * 2),
        ("coco128_train32", 32, 209, []),
    ],
)
def test_real_sets_have_the_counts_of_the_data_pack(check, data_pack, name, images, boxes, errors):
    """Counts as documented, and no error that is not there."""
    report = check(data_pack / "datasets" / name)
    assert (report.images, report.annotated, report.boxes) == (images, images, boxes)
    assert [problem.code for problem in report.problems if problem.severity == "error"] == errors


@pytest.mark.data
def test_hostile_files_are_refused_by_name(check, data_pack, photos):
    """Each hostile XML is one error; the pictures beside stay what they were."""
    for path in sorted((data_pack / "datasets" / "hostile_xml").glob("*.xml")):
        shutil.copy(path, photos)
    report = check(photos)
    assert {problem.file for problem in report.problems} == {
        path.name for path in (data_pack / "datasets" / "hostile_xml").glob("*.xml")
    }
    assert (report.images, report.breaks_training) == (12, True)
