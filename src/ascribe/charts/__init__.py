"""What all figures are drawn with: colors and type, tables inside a specification, pictures, contours, bands."""
