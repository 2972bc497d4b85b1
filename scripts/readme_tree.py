"""The old name of scripts.file_tree."""

from scripts.file_tree import main

main()
