"""Networks: tensors in, tensors out; no data set, no recipe, no stored masks."""
