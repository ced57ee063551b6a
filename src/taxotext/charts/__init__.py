"""Charts, and pages of charts and tables: matplotlib's SVG in HTML that loads nothing."""
