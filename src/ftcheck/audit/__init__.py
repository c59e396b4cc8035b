"""What is in an environment: which extension modules, built for what, linked with what, and whether they ask for the GIL."""
