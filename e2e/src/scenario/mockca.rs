//! Certificates from a mock CA.

use serde_json::json;

use super::scenarios;
use crate::Result;
use crate::world::{Kind, World};

scenarios!("mockca":
    beside a_certificate_from_a_mock_ca_becomes_a_secret,
);

async fn a_certificate_from_a_mock_ca_becomes_a_secret(world: &World) -> Result {
    for kind in Kind::BOTH {
        let issuer = world.issuer(kind, "mock", json!({"signerType": "mockca"})).await?;
        world.issuer_ready(&issuer).await?;
        let name = kind.as_str().to_ascii_lowercase();
        world.certificate(&name, &issuer.reference()).await?;
        world.issued_well(&name).await?;
    }
    Ok(())
}
