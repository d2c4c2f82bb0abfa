"""The agent's processes on Windows: service, pipe, windows to the person, event log. Every file imports everywhere;
the DLLs are loaded when they are first used. Files that begin with `_` are prototypes and constants alone."""
