"""SAML 2.0 as pure decisions: what may be looked into (`xml`), which signatures may be checked (`signatures`), what an
answer says (`answer`), and whether it signs somebody in (`judgement`)."""
