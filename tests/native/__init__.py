"""End-to-end tests of the pytest plugin: mini projects, run by a real pytest in a process of its own."""
