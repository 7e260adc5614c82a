"""The policy: inputs, forward pass, log-probabilities, sharding."""
