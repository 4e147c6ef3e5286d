"""What can be asked: one file for each operation, its command types and their pure decide."""
