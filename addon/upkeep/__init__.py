"""What is done to a whole archive: read again, joined with others, thinned, searched for secrets."""
