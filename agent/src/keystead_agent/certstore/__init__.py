"""Where keys wait for their certificate and where both are kept afterwards."""
