"""The tests in projects/ belong to packages that are not installed: test_build_projects.py builds and runs them."""

collect_ignore = ["projects"]
