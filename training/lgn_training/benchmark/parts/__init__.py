"""The parts of the benchmark. Each is a function that returns the rows of one table; its docstring is the table's title.

To add a part, write its file and append its function to PARTS. It is called with the command line and a device.
"""

from lgn_training.benchmark.parts.compiled_layers import compiled_layers
from lgn_training.benchmark.parts.discovery_growth import discovery_growth
from lgn_training.benchmark.parts.first_use import first_use
from lgn_training.benchmark.parts.growth import growth
from lgn_training.benchmark.parts.inference import inference
from lgn_training.benchmark.parts.lab import lab
from lgn_training.benchmark.parts.orbit_convolutions import orbit_convolutions
from lgn_training.benchmark.parts.orbit_networks import orbit_networks
from lgn_training.benchmark.parts.pipeline import pipeline
from lgn_training.benchmark.parts.precision import precision
from lgn_training.benchmark.parts.processes import processes
from lgn_training.benchmark.parts.regularizers import regularizers
from lgn_training.benchmark.parts.seeds import seeds
from lgn_training.benchmark.parts.startup import startup
from lgn_training.benchmark.parts.steps import steps
from lgn_training.benchmark.parts.whitening import whitening

PARTS = {
    part.__name__: part
    for part in (
        steps,
        compiled_layers,
        regularizers,
        precision,
        growth,
        processes,
        seeds,
        pipeline,
        startup,
        first_use,
        whitening,
        inference,
        orbit_convolutions,
        orbit_networks,
        discovery_growth,
        lab,
    )
}
