"""A user's process and the service of the same computer: what they say to each other, over a pipe or a socket."""
