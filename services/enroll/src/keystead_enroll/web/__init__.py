"""The web application of enroll: portal pages, agent API, operations."""
