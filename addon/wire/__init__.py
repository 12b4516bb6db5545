"""What is on the wire -> what it says: content codings, events, JSON, ids of files; and the secrets taken out."""
