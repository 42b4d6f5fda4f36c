"""What attention maps say: scores of heads, comparisons of models, the experiment with word order, quality of siblings."""
