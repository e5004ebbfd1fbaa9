"""The playground: learning rules side by side in one page, live."""
