"""Alembic's entry point."""

from keystead_kit.alembic_env import run

run()
