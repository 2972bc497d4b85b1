"""What a person at a terminal sees: progress, tables, answers as JSON, and how a command ends."""
