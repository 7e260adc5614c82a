"""Every benchmark as data: tasks by domain, and the suites, protocols, recipes and published rows beside them."""
