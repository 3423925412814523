"""One VOC document: as labelImg writes it, as others do, and as nobody should."""

import timeit
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.annotations.dataset import Box
from detector.annotations.voc_xml import format_voc, parse_voc

EDGES = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"
OBJECT = f"<object><name>café</name>{EDGES}</object>"
DOCUMENT = f"<annotation>{OBJECT}</annotation>"
SIZE = "<size><width>{}</width><height>{}</height><depth>3</depth></size>"

edges = st.floats(-10, 5_000).map(lambda edge: round(edge, 3))
boxes = st.builds(
    Box,
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn", "Co"]), min_size=1).filter(str.strip),
    st.tuples(edges, edges, edges, edges),
    difficult=st.booleans(),
    truncated=st.booleans(),
    occluded=st.booleans(),
    pose=st.sampled_from(["Unspecified", "Left"]),
)


def codes_of(document):
    """List the codes of a document's problems."""
    return [problem.code for problem in document.problems]


def test_a_file_of_labelimg_is_read_as_it_stands():
    """Edges are taken without a shift; size, flags, the mark and the line come along."""
    text = f"""<annotation verified="yes">
        <path>/etc/passwd</path>{SIZE.format(640, 480)}
        <object><name>dog</name><pose>Left</pose><truncated>1</truncated><difficult>1</difficult>
        {EDGES}</object></annotation>"""
    document = parse_voc(text.encode(), "a.xml")
    assert document.boxes == (Box("dog", (1, 2, 30, 40), True, True, pose="Left", line=3),)
    assert (document.width_px, document.height_px, document.verified) == (640, 480, True)
    assert document.problems == []


def test_vocs_own_definition_moves_the_left_and_top_edge():
    """The first pixel is 1 there and the last one is inside: (1, 2, 30, 40) begins at (0, 1)."""
    assert parse_voc(DOCUMENT.encode(), "a.xml", one_based=True).boxes[0].xyxy_px == (0, 1, 30, 40)


@pytest.mark.parametrize(
    "content",
    [
        DOCUMENT.encode("utf-8-sig"),
        DOCUMENT.encode("utf-16"),
        f'<?xml version="1.0" encoding="utf-8"?>{DOCUMENT}'.encode("utf-16"),
        f'<?xml version="1.0" encoding="ISO-8859-1"?>{DOCUMENT}'.encode("latin-1"),
        DOCUMENT.replace("<annotation>", '<annotation xmlns="http://example.org/voc">').encode(),
        DOCUMENT.replace("<annotation>", '<v:annotation xmlns:v="u">').replace("</ann", "</v:ann").encode(),
        DOCUMENT.replace("<object>", "<!-- drawn twice --><object>").encode(),
        DOCUMENT.replace("<name>café", "<name>\n\tcafé\n").encode(),
    ],
)
def test_encodings_namespaces_and_indentation_make_no_difference(content):
    """A mark of byte order, UTF-16, declared Latin-1, a namespace, a comment, indented text."""
    document = parse_voc(content, "a.xml")
    assert [(box.label, box.xyxy_px) for box in document.boxes] == [("café", (1, 2, 30, 40))]
    assert document.problems == []


def test_latin_1_that_claims_to_be_utf_8_is_read_and_reported():
    """Old Windows tools write it."""
    document = parse_voc(DOCUMENT.encode("latin-1"), "a.xml")
    assert document.boxes[0].label == "café"
    assert [(p.code, p.severity) for p in document.problems] == [("xml-encoding", "warning")]


def test_floats_and_missing_fields_are_read():
    """VOC 2012 has fractions; pose, truncated and difficult are often left out."""
    document = parse_voc(DOCUMENT.replace(">30<", "> 30.25 <").encode(), "a.xml")
    assert document.boxes == (Box("café", (1, 2, 30.25, 40), line=1),)
    assert (document.width_px, document.height_px, document.verified) == (None, None, False)


def test_blanks_around_a_name_stay():
    """They are a mistake that the checks show."""
    assert parse_voc(DOCUMENT.replace("café", "cat ").encode(), "a.xml").boxes[0].label == "cat "


def test_parts_of_an_object_are_no_objects():
    """VOC's person layout has boxes of heads inside a person."""
    part = f"<part><name>head</name>{EDGES}</part>"
    document = parse_voc(DOCUMENT.replace("</object>", f"{part}</object>").encode(), "a.xml")
    assert [box.label for box in document.boxes] == ["café"]


@pytest.mark.parametrize(
    ("text", "expected"), [("0", False), ("1", True), ("Unspecified", False), ("0.6", True)]
)
def test_flags_are_read_in_every_way_that_people_write_them(text, expected):
    """0, 1, a word, or the share that is hidden."""
    flagged = DOCUMENT.replace("</name>", f"</name><truncated>{text}</truncated>")
    assert parse_voc(flagged.encode(), "a.xml").boxes[0].truncated is expected


@pytest.mark.parametrize(
    ("size", "expected", "codes"),
    [
        (SIZE.format(0, 0), (None, None), []),
        (SIZE.format("640.0", 480), (640, 480), []),
        (SIZE.format("wide", 480), (None, None), ["voc-size"]),
        (SIZE.format("1e999", 480), (None, None), ["voc-size"]),
    ],
)
def test_sizes_that_say_nothing_are_none(size, expected, codes):
    """LabelImg writes 0 when it could not load the picture."""
    document = parse_voc(DOCUMENT.replace("<object>", f"{size}<object>").encode(), "a.xml")
    assert (document.width_px, document.height_px) == expected
    assert codes_of(document) == codes


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (f"<object>{EDGES}</object>", "voc-no-name"),
        (f"<object><name> </name>{EDGES}</object>", "voc-no-name"),
        ("<object><name>cat</name></object>", "voc-no-box"),
        (f"<object><name>cat</name>{EDGES.replace('<ymax>40</ymax>', '')}</object>", "voc-no-box"),
        (f"<object><name>cat</name>{EDGES.replace('30', '30,5')}</object>", "voc-number"),
        (f"<object><name>cat</name>{EDGES.replace('30', 'nan')}</object>", "voc-number"),
        ("<object><name>cat</name><polygon><x1>1</x1></polygon></object>", "voc-polygon"),
        ("<object><name>cat</name><robndbox><cx>1</cx></robndbox></object>", "voc-robndbox"),
    ],
)
def test_an_object_that_cannot_be_used_is_one_problem_and_the_others_are_read(broken, code):
    """With its line, as an error, since training would miss it."""
    document = parse_voc(f"<annotation>\n{broken}\n{OBJECT}</annotation>".encode(), "a.xml")
    assert [(p.code, p.severity, p.line) for p in document.problems] == [(code, "error", 2)]
    assert [(box.label, box.line) for box in document.boxes] == [("café", 3)]
    assert not document.is_refused


def test_an_outline_beside_a_box_is_a_note():
    """Segmentation tools write both: the box is good."""
    outlined = DOCUMENT.replace("<bndbox>", "<polygon><x1>1</x1></polygon><bndbox>")
    document = parse_voc(outlined.encode(), "a.xml")
    assert len(document.boxes) == 1
    assert [(p.code, p.severity) for p in document.problems] == [("voc-outline", "note")]


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        (b"", "xml-empty", None),
        (b" \n", "xml-empty", None),
        (b"<annotation>\n<object></annotation>", "xml-broken", 2),
        (b"\xff\xd8\xff\xe0 a picture", "xml-broken", 1),
        (b"<html/>", "voc-no-annotation", 1),
        (DOCUMENT.replace("é", "&eacute;").encode(), "xml-entity", 1),
        (b"\n<!DOCTYPE annotation>" + DOCUMENT.encode(), "xml-dtd", 2),
        (f'<!DOCTYPE a [<!ENTITY x "y">]>{DOCUMENT}'.encode("utf-16"), "xml-dtd", None),
        (b"<annotation>" + b"<a>" * 100_000, "xml-broken", 1),
    ],
)
def test_a_document_that_cannot_be_used_is_refused_by_name(content, code, line):
    """One error, no boxes, nothing raised, nothing of the content in the message."""
    document = parse_voc(content, "a.xml")
    assert [(p.code, p.severity, p.line) for p in document.problems] == [(code, "error", line)]
    assert document.is_refused
    assert document.boxes == ()


def test_an_entity_never_brings_a_file_in(tmp_path):
    """Neither a general entity nor a parameter entity nor an attribute."""
    secret = tmp_path / "secret.txt"
    secret.write_text("swordfish")
    for dtd in (f'<!ENTITY x SYSTEM "{secret.as_uri()}">', f'<!ENTITY % x SYSTEM "{secret.as_uri()}">%x;'):
        text = f"<!DOCTYPE a [{dtd}]>" + DOCUMENT.replace("café", "&x;")
        document = parse_voc(text.encode(), "a.xml")
        assert codes_of(document) == ["xml-dtd"]
        assert "swordfish" not in repr(document)


@pytest.mark.data
def test_the_hostile_files_are_refused_by_name(data_pack):
    """Entity bombs, an external entity, a DTD."""
    files = sorted((data_pack / "datasets" / "hostile_xml").glob("*.xml"))
    documents = [parse_voc(file.read_bytes(), "a.xml") for file in files]
    assert [codes_of(document) for document in documents] == [["xml-dtd"]] * 5


@pytest.mark.data
def test_each_hostile_file_is_refused_in_milliseconds(data_pack):
    """The best of three, since other processes may hold the core; an expanded bomb would take gigabytes."""
    for file in sorted((data_pack / "datasets" / "hostile_xml").glob("*.xml")):
        content = file.read_bytes()
        seconds = min(timeit.repeat(partial(parse_voc, content, file.name), number=1, repeat=3))
        assert seconds < 0.02


@given(st.lists(boxes, max_size=3), st.booleans())
def test_what_is_written_is_read_again(drawn, verified):
    """Names, flags, poses, and edges with three decimals."""
    written = format_voc(drawn, folder="f", filename="a.jpg", size_wh_px=(640, 480), verified=verified)
    document = parse_voc(written, "a.xml")
    assert [replace_line(box) for box in document.boxes] == drawn
    assert (document.width_px, document.height_px, document.verified) == (640, 480, verified)


def test_whole_pixels_are_written_as_whole_numbers():
    """Half the world's readers call int() on them."""
    written = format_voc([Box("a", (0, 1.0, 20.0004, 3.5))], folder="", filename="a", size_wh_px=None)
    assert b"<xmin>0</xmin>" in written
    assert b"<ymin>1</ymin>" in written
    assert b"<xmax>20</xmax>" in written
    assert b"<ymax>3.5</ymax>" in written


def replace_line(box):
    """Forget where a box was read."""
    return Box(box.label, box.xyxy_px, box.difficult, box.truncated, box.occluded, box.pose)


@given(st.binary(max_size=200))
def test_no_bytes_raise(content):
    """Whatever is in the file, it is a document or a problem."""
    document = parse_voc(b"<annotation>" + content, "a.xml")
    assert document.is_refused == bool(document.problems)


def test_a_size_that_no_picture_has_is_told():
    """It would not fit into the columns."""
    document = parse_voc(
        b"<annotation><size><width>1e300</width><height>5</height></size></annotation>", "a.xml"
    )
    assert (document.width_px, [problem.code for problem in document.problems]) == (None, ["voc-size"])
