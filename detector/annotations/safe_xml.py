"""XML of strangers: bytes to elements, or one refusal that says why.

Owns the parser's settings and the encodings. Refuses any document with a DTD, and with it every entity,
before its content is looked at; loads nothing from files or networks; refuses what libxml2 calls huge.
"""

from dataclasses import dataclass

from lxml import etree


def _make_parser(encoding: str | None) -> "etree.XMLParser[etree._Element]":
    return etree.XMLParser(
        encoding=encoding,
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


_PARSER, _LATIN_1_PARSER = _make_parser(None), _make_parser("iso-8859-1")
_BEGINS_UTF_16 = (b"\xff\xfe", b"\xfe\xff", b"\x00<", b"<\x00")


@dataclass
class RefusedXmlError(Exception):
    """A document, or one element of it, that can't be used: the fields of a ``Problem``."""

    code: str
    line: int | None
    message: str
    advice: str


def parse_xml(content: bytes) -> tuple[etree._Element, bool]:
    """Parse one document; give its root and whether it had to be read as Latin-1 against its own word.

    Comments, processing instructions and namespaces are left out. UTF-8 and UTF-16 with or without a mark and
    whatever encoding is declared are read. Raises ``RefusedXmlError``.
    """
    if not content.strip():
        raise RefusedXmlError("xml-empty", None, "the file is empty", "annotate the picture again")
    is_latin_1 = False
    try:
        root = etree.fromstring(content, _PARSER)
    except etree.XMLSyntaxError as error:
        if not _may_be_latin_1(content, error):
            raise _explain(content, error) from error
        is_latin_1, root = True, _parse_latin_1(content)
    if root.getroottree().docinfo.doctype:
        raise _refuse_dtd(content)
    if b"xmlns" in content or b"\0" in content:  # or UTF-16, in which it is spelt otherwise
        for element in root.iter():
            element.tag = str(element.tag).rpartition("}")[2]
    return root, is_latin_1


def map_children(element: etree._Element) -> dict[str, etree._Element]:
    """Map an element's children by their names; the first of a name counts."""
    return {str(child.tag): child for child in reversed(element)}


def _parse_latin_1(content: bytes) -> etree._Element:
    try:
        return etree.fromstring(content, _LATIN_1_PARSER)
    except etree.XMLSyntaxError as error:
        raise _explain(content, error) from error


def _may_be_latin_1(content: bytes, error: etree.XMLSyntaxError) -> bool:
    if error.code not in {etree.ErrorTypes.ERR_INVALID_ENCODING, etree.ErrorTypes.ERR_INVALID_CHAR}:
        return False
    if content.startswith(_BEGINS_UTF_16) or b"<!DOCTYPE" in content:
        return False
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def _explain(content: bytes, error: etree.XMLSyntaxError) -> RefusedXmlError:
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        return _refuse_dtd(content)
    line = error.lineno or None
    if error.code == etree.ErrorTypes.ERR_UNDECLARED_ENTITY:
        message = "it uses an entity (&name;) that only a DTD could define"
        return RefusedXmlError("xml-entity", line, message, "write the character itself")
    # libxml2's own message quotes the file; the name of its error does not.
    name = next((entry.type_name for entry in error.error_log), "unknown")
    message = f"it is no well-formed XML: {name.removeprefix('ERR_').replace('_', ' ').lower()}"
    return RefusedXmlError("xml-broken", line, message, "save it again in labelImg")


def _refuse_dtd(content: bytes) -> RefusedXmlError:
    before, found, _ = content.partition(b"<!DOCTYPE")
    line = before.count(b"\n") + 1 if found else None
    message = "it has a DTD (<!DOCTYPE>), through which entities and files get in; nothing of it is read"
    return RefusedXmlError("xml-dtd", line, message, "remove the DTD; labelImg never writes one")
