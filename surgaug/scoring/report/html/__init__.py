"""The report as one HTML file that needs nothing else: no script, no request, light and dark, wide and narrow."""
