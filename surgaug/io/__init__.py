"""Files: written whole or not at all, images, locks, contact sheets, manifests, output folders."""
