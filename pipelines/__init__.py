"""The roof: recipes, passes, executors, reports and the command line."""
