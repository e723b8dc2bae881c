"""Pattern reconstruction: the functions that a layout must meet, and the annealing that meets them."""
