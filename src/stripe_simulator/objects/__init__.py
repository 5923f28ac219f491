"""What all operations share: reading objects, running an operation, related objects, events."""
