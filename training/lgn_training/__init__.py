"""What the programs of `training/` share: data, the training engine, results."""
