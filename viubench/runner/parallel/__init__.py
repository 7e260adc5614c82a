"""Several engines for one run: processes, Ray actors, the work queue."""
