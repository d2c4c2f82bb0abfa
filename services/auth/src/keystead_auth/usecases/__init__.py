"""What auth does: one file, one verb, one function, one transaction."""
