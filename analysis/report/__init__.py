"""A year with ChatGPT as one page: what is counted (`figures`), and how it is shown (`page`)."""
