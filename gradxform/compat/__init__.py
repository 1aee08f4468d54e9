"""Other libraries' namespaces, with their names, signatures, defaults and numbers, as expressions of ours."""
