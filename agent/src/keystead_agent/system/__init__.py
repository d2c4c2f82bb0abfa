"""What differs between operating systems below files and settings. `posix` and `windows` have the same names."""

import sys

if sys.platform == "win32":
    from keystead_agent.system import windows as system
else:
    from keystead_agent.system import posix as system

__all__ = ["system"]
