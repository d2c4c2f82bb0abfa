"""Inputs checked, and what is wrong with them said field by field; use cases that read rows do it too."""

from __future__ import annotations

from keystead_enroll.usecases.admin.checked import checked as checked
from keystead_enroll.usecases.admin.checked import mistakes_of as mistakes_of
