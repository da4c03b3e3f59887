"""What stands around the engine of a running system."""
