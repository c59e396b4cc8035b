"""One model of a run (:mod:`ftcheck.report.model`), many faces; so far the terminal's (:mod:`ftcheck.report.terminal`)."""
