"""Who viewed what, in arrays: what goes with a product is counted when it is asked. No I/O."""
