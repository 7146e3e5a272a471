"""A recorder that runs all the time: control traffic in a ring on disk, and a folder per incident with the proof."""
