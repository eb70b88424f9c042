"""Label spaces, label-map codecs, the layouts of data sets, and the phantom renderer."""
