"""What a run takes from its machine: a device, a precision, threads, and seconds per step."""
