"""Package `tessera.v1`: messages in `*_pb2`, the client stub in `extraction_pb2_grpc`."""
