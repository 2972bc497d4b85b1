"""From the zip to the number on the board: hand in once, wait, bring the scores back."""
