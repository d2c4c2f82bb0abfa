"""notify's web: health, metrics and, in development, a preview of every letter."""
