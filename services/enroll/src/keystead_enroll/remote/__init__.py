"""`keystead <noun> <verb>`: the administration from a terminal, through the REST API of a server anywhere."""
