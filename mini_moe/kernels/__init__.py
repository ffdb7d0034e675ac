"""Products in Triton. ``tiles`` needs torch only; the rest needs Triton, which exists for Linux."""
