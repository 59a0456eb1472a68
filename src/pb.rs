//! Generated messages, clients and servers of `proto`, and their descriptors.
#![allow(
    clippy::pedantic,
    clippy::large_enum_variant,
    clippy::allow_attributes_without_reason,
    missing_debug_implementations,
    reason = "generated code"
)]

/// Package `tessera.v1`.
pub mod v1 {
    tonic::include_proto!("tessera.v1");
}

/// Load reports, wire-compatible with those that gRPC clients and proxies know.
pub mod xds {
    pub mod data {
        pub mod orca {
            pub mod v3 {
                tonic::include_proto!("xds.data.orca.v3");
            }
        }
    }
    pub mod service {
        pub mod orca {
            pub mod v3 {
                tonic::include_proto!("xds.service.orca.v3");
            }
        }
    }
}

/// Package `grpc.health.v1`.
pub mod health {
    tonic::include_proto!("grpc.health.v1");
}

/// The encoded `FileDescriptorSet` of the packages, which reflection serves.
pub const DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/tessera_descriptor.bin"));

#[cfg(test)]
mod tests {
    use prost::Message as _;

    #[test]
    fn descriptor_set_holds_the_service() {
        let set = prost_types::FileDescriptorSet::decode(super::DESCRIPTOR_SET).expect("decodes");
        let services: Vec<&str> = set
            .file
            .iter()
            .filter(|file| file.package() == "tessera.v1")
            .flat_map(|file| file.service.iter().map(|service| service.name()))
            .collect();
        assert_eq!(services, ["ExtractionService"]);
    }
}
