//! `models/tessera-tiny`, compiled into the binary so that it works with nothing else installed.

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        /// The bytes of one file of the embedded checkpoint.
        pub(super) fn file(name: &str) -> Option<&'static [u8]> {
            match name {
                $($name => Some(include_bytes!(concat!(
                    env!("CARGO_MANIFEST_DIR"), "/models/tessera-tiny/", $name
                ))),)+
                _ => None,
            }
        }
    };
}

files!(
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "tessera.json",
    "calibration.json",
    "model.safetensors",
);
