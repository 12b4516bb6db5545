"""The commands of `chatgpt-capture`: each module here is one, named like it, and its `command` is what runs.

A module that a keyword of Python stands in the way of ends with an underscore. What is needed to run a command is
imported in its function, so that `--help` does not wait for it.
"""
