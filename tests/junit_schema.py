"""JUnit XML against a schema of our own (`junit.xsd`), read as a CI service reads it.

Example:
    cases = outcomes(valid(path.read_bytes()))
"""

from __future__ import annotations

from pathlib import Path

from lxml import etree

SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).with_name("junit.xsd")))


def valid(document: bytes) -> etree._Element:
    """The root of a document that fits the schema and whose counts are those of its cases."""
    root = etree.fromstring(document)
    SCHEMA.assertValid(root)
    for counted, found in (("tests", "testcase"), ("failures", "testcase/failure"), ("errors", "testcase/error")):
        for element in (root, *root.iter("testsuite")):
            assert int(element.get(counted)) == len(element.findall(f".//{found}")), counted
    return root


def outcomes(root: etree._Element) -> dict[str, str]:
    """Test case -> passed, failure, error or skipped."""
    words = ("failure", "error", "skipped")
    return {
        case.get("name"): next((word for word in words if case.find(word) is not None), "passed")
        for case in root.iter("testcase")
    }
