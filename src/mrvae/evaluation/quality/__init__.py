"""Image quality: similarity, pixel errors, distortion of whole pictures, Fréchet distance."""
