"""Other libraries' optimizers, with their names, arguments, defaults and numbers, as our expressions."""
