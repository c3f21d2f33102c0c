# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Runs one test module and reports each test as a line of JSON on a pipe.

    report.py MODULE DESCRIPTOR [PATTERN]      run, report to DESCRIPTOR
    report.py --list MODULE...                 the names of all tests

A test is one: failing subtests, cleanups and class teardown make it fail once.
"""
import json
import os
import sys
import traceback
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


class Reporter(unittest.TestResult):
    """Tells the outcome of each test when it has ended."""

    def __init__(self, out):
        super().__init__()
        self.out, self.outcome = out, None

    def tell(self, **facts):
        self.out.write(json.dumps(facts) + "\n")
        self.out.flush()

    def startTest(self, test):
        super().startTest(test)
        self.outcome = {"status": "passed", "details": ""}
        self.tell(event="start", test=test.id())

    def stopTest(self, test):
        super().stopTest(test)
        self.tell(event="end", test=test.id(), **self.outcome)
        self.outcome = None

    def failed(self, test, error):
        details = "".join(traceback.format_exception(*error))
        if self.outcome is None:  # a module or class that could not be set up or torn down
            self.tell(event="end", test=str(test), status="failed", details=details)
        else:
            self.outcome["status"] = "failed"
            self.outcome["details"] += details

    def addError(self, test, err):
        super().addError(test, err)
        self.failed(test, err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.failed(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.failed(test, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        if self.outcome is None:
            self.tell(event="end", test=str(test), status="skipped", details=reason)
        elif self.outcome["status"] == "passed":
            self.outcome = {"status": "skipped", "details": reason}

    def addExpectedFailure(self, test, err):
        self.failed(test, err)

    def addUnexpectedSuccess(self, test):
        self.outcome = {"status": "failed", "details": "expected to fail, but passed"}


def tests_of(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from tests_of(item)
        else:
            yield item


def load(module, pattern):
    loaded = unittest.defaultTestLoader.loadTestsFromName(module)
    return unittest.TestSuite(t for t in tests_of(loaded)
                              if pattern in t.id() or "FailedTest" in t.id())


def main():
    if sys.argv[1] == "--list":
        for module in sys.argv[2:]:
            for test in load(module, ""):
                print(test.id())
        return
    module, descriptor = sys.argv[1], int(sys.argv[2])
    os.set_inheritable(descriptor, False)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        reporter = Reporter(out)
        load(module, sys.argv[3] if len(sys.argv) > 3 else "").run(reporter)
        reporter.tell(event="done", ran=reporter.testsRun)


if __name__ == "__main__":
    main()
