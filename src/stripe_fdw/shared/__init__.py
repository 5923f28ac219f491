"""State that all processes of one OS user on this machine share: counters, cells and ratios."""
