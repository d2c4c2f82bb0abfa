"""Windows on a Linux machine: a real CPython for Windows under Wine, that builds, packs and tests the agent.

`__main__` → `build` (exe, MSI) and `check` (the tests) → `runtime` (Python and wheels) → `wine` (runs a program).
"""
