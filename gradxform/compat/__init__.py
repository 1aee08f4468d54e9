"""Other libraries' namespaces, with their signatures, names and numbers, as expressions of ours."""
