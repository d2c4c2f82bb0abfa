"""What PyInstaller makes the programs of."""

from keystead_agent.cli import main

main()
