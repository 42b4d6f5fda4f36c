"""Figures of MLA: the way of the data, tensors, forms of one computation."""
