"""The papers that mrvae reproduces, one folder each; the command line alone imports them."""
