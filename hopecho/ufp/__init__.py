"""Ultra-fast potential (UF3): two- and three-body cubic B-splines, fitted linearly."""
