"""The file format of docs/format.md: header, container, and pictures to files and back."""
