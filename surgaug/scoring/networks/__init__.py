"""Networks whose published weights define a measure; the user supplies the weights."""
