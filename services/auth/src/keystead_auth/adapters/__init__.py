"""The outside world behind auth's ports."""
