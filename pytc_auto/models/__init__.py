"""Networks: built from a plan, saved and loaded as safetensors."""
