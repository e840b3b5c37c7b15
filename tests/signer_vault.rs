//! The Vault signer against servers: one body of scenarios, one arm for each server.
//!
//! The arm of the real OpenBao needs the `bao` binary (see [`openbao`]); without it the arm says so and passes,
//! unless `EXTERNAL_ISSUER_REQUIRE_OPENBAO=1`.

#[cfg(test)]
mod signer_vault {
    pub(crate) mod openbao;
    pub(crate) mod scenarios;
    pub(crate) mod server;
}

use signer_vault::{openbao, scenarios};

#[tokio::test]
async fn a_real_openbao() {
    match openbao::start() {
        Ok(bao) => scenarios::all(&bao.server).await,
        Err(absent) => println!("skipped: {absent}"),
    }
}
