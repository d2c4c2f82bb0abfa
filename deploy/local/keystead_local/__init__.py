"""Everything on one machine: the services, what they need, and a TPM, each a process under one supervisor."""
