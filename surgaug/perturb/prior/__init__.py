"""What real label maps tell: their instruments, how plausible a map is, how often a class is to be seen."""
