"""What comes over WebSockets: items in their order, one answer a topic, news of conversations."""
