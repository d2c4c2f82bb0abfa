"""What crosses a process border in Keystead: facts, device jobs and reports, identity claims, problem codes.

Wire contracts age: a field is added with a default and never renamed, and unknown fields are ignored
(`Message`). `tests/contract` keeps a golden sample of every message and parses them for ever.
"""
