"""What a web process sees to before it serves."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import resource, sys
from keystead_kit.server import make_room
resource.setrlimit(resource.RLIMIT_NOFILE, (256, int(sys.argv[1])))
make_room(100)
print("files", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def said(hard_limit: int) -> str:
    """What a process with this limit, and 256 to begin with, says when it makes room for 100 streams."""
    command = [sys.executable, "-c", PROGRAM, str(hard_limit)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_process_may_open_as_many_files_as_its_streams_need() -> None:
    assert said(5000) == "files 612\n"


def test_a_process_that_may_not_says_so_and_goes_on() -> None:
    told = said(500)
    assert told.endswith("files 500\n")
    assert "too few files for its streams" in told
    assert "files_needed=612" in told
