"""Signals: recordings and series, whose numbers become bins, as images of 1 × T samples.

quantisers              numbers to bins, and back
windows                 recordings to windows
wav, tables             files of sound; NumPy arrays and CSV
ecg, fsdd               the sources known by name
facts                   how a source is read when nothing is said about it
load                    from a recipe's words to images
"""
