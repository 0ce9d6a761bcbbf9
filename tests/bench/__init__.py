"""How fast Duanbiao is, beside what it could be and what others are: `make bench`."""
