"""The papers that mrvae reproduces, one folder each; only the command line imports them."""
