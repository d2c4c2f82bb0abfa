"""What administrators do, in the console, through the API and by command: one file a thing, one function a verb.

Each takes the `Actor` who asks. What is outside of their scope answers as if it did not exist (ThingUnknown), what is
in sight and not theirs to change NotAllowed. Each change writes its line of the audit log in its own transaction.
"""
