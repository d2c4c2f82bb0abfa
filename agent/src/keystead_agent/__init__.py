"""The Keystead agent: makes keys in the machine's TPM, has them certified, installs the certificates.

`cli` → `enroll`, `run`, `register`, `listing`, `doctor` → `worker` (answers and reports jobs) → `jobs` (does one job)
→ `keystore`, `certstore`, `journal`; `client` talks to the server.
"""

__version__ = "0.1.0"
