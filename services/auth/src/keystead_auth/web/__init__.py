"""auth's pages: the edge that turns requests into use cases and refusals into answers."""
