"""What notify does: one file, one verb, one function, one transaction."""
