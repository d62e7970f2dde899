"""A model file in PyTorch: its graph as PyTorch functions, captured as a CUDA graph, and the class map by Triton."""
