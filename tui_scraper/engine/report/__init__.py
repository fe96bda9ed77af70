"""What a workspace can tell of the work done in it, at its head: the facts of `report`."""
