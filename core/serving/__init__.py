"""What serves many visitors: the engine, the queue for the device, metrics, readings and conversions in the background."""
