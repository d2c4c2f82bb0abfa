"""The administration's REST API, `/api/v1`: the console's use cases, described in `/api/openapi.json`."""
