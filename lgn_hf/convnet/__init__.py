"""The second family: residual convolution networks over one linear group. It travels to the Hub with the modules of `nn/`."""
