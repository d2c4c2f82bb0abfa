"""The administration console: server-rendered pages below `/console`."""
