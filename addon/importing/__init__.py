"""Files that a person already has -> the same exchanges and documents that a capture reads."""
