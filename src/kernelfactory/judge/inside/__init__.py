"""What runs in the jail beside a candidate. Nothing here is imported by the package but the forms of what crosses."""
