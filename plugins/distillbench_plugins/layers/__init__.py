"""Network parts that more than one plugin may build on; not plugins themselves."""
