"""The training package of lgn-hf.

`run` trains a network and `evaluate_model` tests one. `zoo` trains and records all published models, `benchmark` measures
speed, `experiments` repeats the papers' experiments. They share `arguments` (recipes and the command line), `data`
(from the name of a data set to batches), `engine` (the training loop and its surroundings) and `results` (what a run
writes about itself).
"""
