"""What our own decoder really holds and how long its steps take: tensors and clocks, beside the formulas of core.memory."""
