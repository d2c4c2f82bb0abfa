"""The parts of a declared set-up: one file a thing, which says what of it may be stored, and stores it."""
