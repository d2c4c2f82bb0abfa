"""The outside world behind notify's ports."""
