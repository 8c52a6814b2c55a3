"""Files that someone has, as they are, into rows and guesses of what the rows are about: for `fiat init`.

- `files`: CSV, TSV, JSON lines in any usual encoding, into rows with plain fields; what is odd is counted.
- `fields`: nested fields made flat, and names that templates can hold.
- `guesses`: which fields are the input, the answer, the language; what kind of task it is; how long it is.
- `splits`: train and test of rows that come in one file.
"""
