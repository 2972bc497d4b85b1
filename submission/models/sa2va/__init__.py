"""Sa2VA: a language model that answers with [SEG], and SAM 2 that turns it into masks."""
