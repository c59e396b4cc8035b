"""``ftcheck audit``: is everything here ready for a free-threaded interpreter, and who turns the GIL on?

What is looked at (:mod:`~ftcheck.audit.targets`) is an environment, a wheel, an sdist, a source tree, or a list of
requirements. Of each extension module three things are asked, one after the other, and what they say is kept apart:

1. its file, of which nothing is run (:mod:`~ftcheck.audit.binary`, :mod:`~ftcheck.audit.slot_bytes`);
2. its ``PyInit_`` function, called in a child process, which gives its declarations without running its body;
3. a real import in a child process, where the interpreter itself says which modules turn the GIL on.

The children (:mod:`~ftcheck.audit.probes`, :mod:`~ftcheck.audit.child`) may die, hang or misbehave; that costs one row.
:mod:`~ftcheck.audit.readiness` turns evidence into verdicts, :mod:`~ftcheck.audit.model` has the words for all of it, and
:mod:`~ftcheck.audit.table` and :mod:`~ftcheck.audit.json_file` say it. A declaration is a claim. What was not run in threads
was not tested, and the audit never says more than that.

Besides, an environment can be written down (:mod:`~ftcheck.audit.record`) and compared with another one
(:mod:`~ftcheck.audit.diff`); and source code is read (:mod:`~ftcheck.audit.rules`), which is shown in the rows of what has
sources (:mod:`~ftcheck.audit.sources`). One flaw has one id, wherever it is seen (:mod:`~ftcheck.audit.noted`).
"""
