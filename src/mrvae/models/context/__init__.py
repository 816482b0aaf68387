"""The context: a discrete function of the image as the top latent (Kuzina & Tomczak 2023)."""
