"""Server plumbing for Keystead's services, without one business word."""
