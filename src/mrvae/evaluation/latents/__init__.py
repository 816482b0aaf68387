"""What the latents carry: nats, active units, state norms, bands, partial reconstructions."""
