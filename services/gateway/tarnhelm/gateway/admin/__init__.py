"""What people may see of the gateway and decide: one gRPC service, with roles, before all pages and commands."""
