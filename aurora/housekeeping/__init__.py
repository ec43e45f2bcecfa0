"""The machine and the project's folder: what a trading day needs them to be."""
