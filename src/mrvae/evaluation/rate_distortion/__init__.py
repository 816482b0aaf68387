"""Pictures at a rate: patches, sketches from the top latents, and standard image codecs."""
