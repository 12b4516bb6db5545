"""The JSON documents that the page loads, and exports hold: conversations, lists, titles -> records."""
