"""One answer: the events of its stream -> messages, images, what else they tell. The line itself is `capture`."""
