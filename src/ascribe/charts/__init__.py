"""What all figures are drawn with: colors and type, tables inside a specification, lines, pictures, contours, bands."""
