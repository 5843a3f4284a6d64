"""How the ions move: mean square displacements, conductivity, hops and pair distributions."""
