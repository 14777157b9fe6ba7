"""What a training run is and what it leaves: names of data sets, results, the folder of a model."""
