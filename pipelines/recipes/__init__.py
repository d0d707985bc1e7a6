"""The built-in recipes, one TOML file each (package data)."""
