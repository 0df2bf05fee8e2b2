"""One module a command of `tf-hps`."""
