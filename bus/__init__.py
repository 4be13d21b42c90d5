"""What both ends agree on: messages, codec and its limits, endpoints, errors. Imports nothing of the other
parts."""
