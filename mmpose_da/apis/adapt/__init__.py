"""From a trained model and raw images to an adapted, published model: see ``run``."""
