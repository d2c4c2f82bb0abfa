"""The outside world behind enroll's ports."""
