//! Any text as the configuration document: reading ends, and a complaint is short and on one line.
#![no_main]

use external_issuer::config::{self, Backend};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| match config::parse(text) {
    Ok(config) => {
        let Backend::Vault(vault) = config.backend;
        assert!(!vault.path.as_str().contains(".."));
        assert!(vault.url.join("v1/x").as_str().starts_with(&format!("{}/v1/x", vault.url)));
    }
    Err(error) => {
        let complaint = error.to_string();
        assert!(complaint.len() < 4096, "{complaint}");
    }
});
