"""What is done with bulk jobs: by administrators, and by the worker a bounded batch at a time."""
