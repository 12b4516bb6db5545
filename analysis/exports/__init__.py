"""Exports: what an archive holds, as files that other programs read. Reads only; one conversation in memory at a time.

folder      ExportFolder: private files, each whole under its name or not there
ledger      what has been written, so that an export that was stopped goes on and a later one writes what is new
talks       which conversations, and what is read of one
runs        one file for all, or one for each
official    JSON in the shape of ChatGPT's own export
"""
