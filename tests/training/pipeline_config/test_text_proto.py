"""The reader of the text format, against protobuf's own writer and by hand."""

import pytest
from google.protobuf import struct_pb2, text_format
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.errors import SettingsError
from detector.training.pipeline_config.text_proto import MAX_DEPTH, Field, Scalar, read_text_proto

_JSON = st.recursive(
    st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def rebuild(fields):
    """Make a google.protobuf.Value's content of what was read."""
    (field,) = fields
    if field.name == "struct_value":
        entries = [{e.name: e.value for e in entry.value} for entry in field.value]
        return {entry["key"].text if "key" in entry else "": rebuild(entry["value"]) for entry in entries}
    if field.name == "list_value":
        return [rebuild(value.value) for value in field.value]
    text = field.value.text
    return {"bool_value": lambda: text == "true", "number_value": lambda: float(text)}.get(
        field.name, lambda: text
    )()


@settings(deadline=None)
@given(_JSON, st.booleans(), st.booleans())
def test_reads_what_protobuf_writes(content, as_one_line, as_utf8):
    """Whatever a message holds, its text is read as protobuf wrote it."""
    message = struct_pb2.Value()
    holder = struct_pb2.ListValue()
    holder.extend([content])
    message.CopyFrom(holder.values[0])
    text = text_format.MessageToString(message, as_one_line=as_one_line, as_utf8=as_utf8)
    assert rebuild(read_text_proto(text, "x")) == content


@settings(deadline=None)
@given(st.text(alphabet="a:{}<>[]\"'\\#,; \n-0.x", max_size=40))
def test_reads_or_refuses_any_text(text):
    """Any text gives fields or the error that names its line, and nothing else."""
    message = "x, line 1"
    try:
        read_text_proto(text, "x")
    except SettingsError as error:
        message = str(error)
    assert "x, line " in message


def test_keeps_lines():
    """Each field has the line that its name, or its list's value, stands on."""
    fields = read_text_proto("# one\na: 1\n\nb {\n  c: [1,\n  2]\n}", "x")
    assert [(f.name, f.line) for f in fields] == [("a", 2), ("b", 4)]
    assert [(f.name, f.line) for f in fields[1].value] == [("c", 5), ("c", 6)]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("a: 'it' \"'s\"", "string", "it's"),
        (r'a: "\303\244\x41\n"', "string", "äA\n"),
        ("a: -  1e-8", "number", "-1e-8"),
        ("a: .0001f", "number", ".0001f"),
        ("a: 10.", "number", "10."),
        ("a: 0x1F,", "number", "0x1F"),
        ("a: -inf;", "number", "-inf"),
        ("a: RELU_6", "word", "RELU_6"),
    ],
)
def test_reads_scalars(text, kind, value):
    """Strings in parts, escapes, numbers of every spelling, words; a comma or semicolon may follow."""
    assert read_text_proto(text, "x") == (Field("a", 1, Scalar(kind, value)),)


@pytest.mark.parametrize(
    "text", ["a < b: 1 >", "a: < b: 1 >", "a { b: 1 }", "a: { b: 1 };", "a [{ b: 1 }]", "a: [<b: 1>]"]
)
def test_reads_messages_of_every_spelling(text):
    """Braces and angle brackets, with a colon or without, alone or in a list."""
    assert read_text_proto(text, "x") == (Field("a", 1, (Field("b", 1, Scalar("number", "1")),)),)


def test_reads_extensions():
    """An extension's field has its name in brackets."""
    assert read_text_proto("[a.b.C.d] { e: 1 }", "x")[0].name == "[a.b.C.d]"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a {\nb: 1", 2, "ends before '}'"),
        ("a: 1\n}", 2, "expected word"),
        ("a {\n>", 2, "expected word"),
        ("a\nb: 1", 2, "colon"),
        ('a: "open\n"', 1, "no text proto"),
        (r'a: "\q"', 1, "escape"),
        (r'a: "\377"', 1, "UTF-8"),
        (r'a: "\777"', 1, "escape"),
        (r'a: "\U00110000"', 1, "range"),
        ("a: 12abc", 1, "no text proto"),
        ("a: [1 2]", 1, "expected ,"),
        ("a: [1,]", 1, "expected number"),
        ("a: ", 1, "expected number"),
        ("[a.b", 1, "ends in ]"),
        ("a {" * (MAX_DEPTH + 1), 1, "deeper"),
        ("é: 1", 1, "no text proto"),
    ],
)
def test_refuses_what_is_no_text_proto(text, line, what):
    """What breaks the format is refused with its line."""
    with pytest.raises(SettingsError, match=f"x, line {line}: .*{what}"):
        read_text_proto(text, "x")
