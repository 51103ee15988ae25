"""The way back as a library: it knows neither gRPC nor a terminal."""
