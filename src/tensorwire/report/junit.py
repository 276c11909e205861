"""A comparison as JUnit XML, which CI systems show: a test case for each finding."""

import re
from collections.abc import Collection
from xml.etree import ElementTree

from tensorwire.compare import Comparison, Finding, Verdict
from tensorwire.report.comparison import evidence, left_out

_NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(comparison: Comparison, failing: Collection[Verdict]) -> str:
    """Verdicts that are `failing` are failures, other inconclusive ones are skipped, the rest passes."""
    cases = [_of_finding(finding, failing) for finding in comparison.findings]
    cases += [_of_missing(line, failing) for line in left_out(comparison) if not line.startswith("only in new")]
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": "0",
        "skipped": str(sum(case.find("skipped") is not None for case in cases)),
    }
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "tensorwire compare", **counts})
    suite.extend(cases)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _of_finding(finding: Finding, failing: Collection[Verdict]) -> ElementTree.Element:
    spec = finding.base.result.spec
    name = f"{finding.metric.name} {finding.base.name()}"
    case = ElementTree.Element("testcase", {"classname": f"{spec.benchmark}.{spec.channel}", "name": _text(name)})
    _tell(case, finding.verdict, evidence(finding), failing)
    return case


def _of_missing(line: str, failing: Collection[Verdict]) -> ElementTree.Element:
    case = ElementTree.Element("testcase", {"classname": "not compared", "name": _text(line)})
    _tell(case, "inconclusive", line, failing)
    return case


def _tell(case: ElementTree.Element, verdict: Verdict, words: str, failing: Collection[Verdict]) -> None:
    if verdict in failing:
        ElementTree.SubElement(case, "failure", {"type": verdict, "message": _text(words)})
    elif verdict == "inconclusive":
        ElementTree.SubElement(case, "skipped", {"message": _text(words)})
    else:
        ElementTree.SubElement(case, "system-out").text = _text(words)


def _text(words: str) -> str:
    """Without the characters that XML has no place for."""
    return _NO_XML.sub("?", words)
