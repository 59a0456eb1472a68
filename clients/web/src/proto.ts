// The messages and the service as generated from proto/tessera/v1.
export * from "./gen/tessera/v1/extraction_pb.js";
export * from "./gen/tessera/v1/model_info_pb.js";
export * from "./gen/tessera/v1/schema_pb.js";
