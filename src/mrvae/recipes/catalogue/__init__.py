"""The recipes that mrvae knows by name, a module for each paper or purpose."""
