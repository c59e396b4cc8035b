"""pytest's own JUnit file, completed: what is known only at the end, and what happens when it cannot be written.

pytest writes the file; its kinds are pytest's: what went wrong in the body is a ``failure``, whether it is an assertion,
a crash or a hang; what went wrong in a set-up, a teardown or on import is an ``error``. We add properties: here those of
the suite, and each test's final verdict. What the tests' reports bring (``session.py``, ``isolation.py``) is not the last
word: a test may be accused when its reports have gone, by the teardown of a fixture that it shared with others.
"""

from __future__ import annotations

import contextlib
import functools
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from _pytest.junitxml import LogXML, bin_xml_escape, mangle_test_address, xml_key

from ftcheck.report.model import RunReport
from ftcheck.verdicts import Finding


def refuse_same(config: pytest.Config, path: str) -> None:
    """Two reports cannot be one file.

    :raises pytest.UsageError: pytest's JUnit file has this path.
    """
    given = config.option.xmlpath
    if given and os.path.abspath(os.path.expanduser(os.path.expandvars(given))) == path:
        raise pytest.UsageError(f"--ftcheck-json and --junitxml name the same file: {path}")


def complete(config: pytest.Config, report: RunReport) -> None:
    """Add what is known now, before the file is written. Does nothing where none was asked for."""
    xml = config.stash.get(xml_key, None)
    if xml is None:
        return
    share = report.concurrent
    xml.add_global_property("ftcheck_interpreter", report.interpreter)
    xml.add_global_property("ftcheck_seed", str(report.seed))
    xml.add_global_property("ftcheck_rerun", report.rerun)
    xml.add_global_property("ftcheck_concurrent", f"{share.part} of {share.whole}")
    _correct(xml, report)


def _correct(xml: LogXML, report: RunReport) -> None:
    """Give each test's element the final verdict: once, whatever its reports brought, and also where they brought none.

    pytest makes two elements of a test whose body and whose teardown failed; both get it.
    """
    reporters: dict[tuple[str, str], list[Any]] = {}
    for reporter in xml.node_reporters_ordered:
        element = reporter.to_xml()
        reporters.setdefault((str(element.get("classname")), str(element.get("name"))), []).append(reporter)
    for test in report.tests:
        *path, name = mangle_test_address(test.test)
        for reporter in reporters.get((".".join(filter(None, [xml.prefix, *path])), bin_xml_escape(name)), ()):
            _set(reporter, "ftcheck_verdict", test.verdict.value)
            if test.coverage is not None:
                _set(reporter, "ftcheck_coverage", test.coverage.text)
            for known in [finding.reliance for finding in test.findings if finding.reliance is not None][:1]:
                _set(reporter, "ftcheck_gil_reliance", "; ".join(filter(None, [known.text, known.rates])))


def _set(reporter: Any, name: str, value: str) -> None:
    if hasattr(reporter, "properties"):  # of a test that has not been torn down: the element is not made yet
        reporter.properties[:] = [*(entry for entry in reporter.properties if entry[0] != name), (name, value)]
        return
    element = reporter.to_xml()
    properties = element.find("properties")
    if properties is None:
        properties = ElementTree.Element("properties")
        element.insert(0, properties)
    for one in [one for one in properties if one.get("name") == name]:
        properties.remove(one)
    ElementTree.SubElement(properties, "property", name=name, value=value)


@contextlib.contextmanager
def may_fail(config: pytest.Config) -> Iterator[list[str]]:
    """Let a JUnit file that cannot be written be a trouble, not the end of everything else.

    pytest lets the error through, and with it goes every hook that would be called after: the summary, the teardown of
    what is still set up, the workers' orderly end. Gives the troubles, one line each.
    """
    troubles: list[str] = []
    xml = config.stash.get(xml_key, None)
    ours = [one for one in config.hook.pytest_sessionfinish.get_hookimpls() if xml is not None and one.plugin is xml]
    originals: list[tuple[Any, Callable[..., object]]] = [(one, one.function) for one in ours]

    def guarded(write: Callable[..., object], *arguments: object) -> None:
        try:
            write(*arguments)
        except Exception as error:
            assert xml is not None
            troubles.append(f"{xml.logfile} could not be written: {error}. What is in it now is not complete.")
            config.pluginmanager.unregister(xml)  # it would say that it has generated the file
            del config.stash[xml_key]

    for one, write in originals:
        setattr(one, "function", functools.partial(guarded, write))  # noqa: B010  # final to others
    try:
        yield troubles
    finally:
        for one, write in originals:
            setattr(one, "function", write)  # noqa: B010


def forget(config: pytest.Config, report: pytest.TestReport) -> None:
    """A test that goes to the next worker is no result: pytest has just made an empty element of it.

    So it does of the crash that pytest-rerunfailures has run again.
    """
    xml = config.stash.get(xml_key, None)
    if xml is None:
        return
    empty = xml.node_reporter(report)
    if "name" in empty.attrs:
        return
    for key in [key for key, reporter in xml.node_reporters.items() if reporter is empty]:
        del xml.node_reporters[key]
    xml.node_reporters_ordered.remove(empty)


def join_last(config: pytest.Config) -> None:
    """The last report came after its test was done, and pytest has opened a second element for it: make them one."""
    xml = config.stash.get(xml_key, None)
    if xml is None or not xml.node_reporters_ordered:
        return
    late = xml.node_reporters_ordered[-1].to_xml()
    for reporter in reversed(xml.node_reporters_ordered[:-1]):
        element = reporter.to_xml()
        if all(element.get(key) == late.get(key) for key in ("classname", "name")):
            xml.node_reporters_ordered.pop()
            element.extend(child for child in late if child.tag == "error")
            for one in element.iter("property"):
                if one.get("name") == "ftcheck_verdict":
                    one.set("value", next(iter(late.iter("property"))).get("value", ""))
            xml.cnt_double_fail_tests += 1  # pytest counts outcomes, and takes this off to get the number of tests
            return


def add_error(config: pytest.Config, finding: Finding) -> None:
    """An element for a finding about no test, so that whoever reads only this file sees that there is one."""
    xml = config.stash.get(xml_key, None)
    if xml is None:
        return
    reporter = xml.node_reporter(finding.tests[0])
    reporter.attrs |= {"classname": "ftcheck", "name": bin_xml_escape(finding.tests[0])}
    text = f"{finding.verdict.value}: {finding.headline}"
    reporter._add_simple("error", bin_xml_escape(text), f"{text}\n\n{finding.detail}")
    reporter.add_property("ftcheck_verdict", finding.verdict.value)
