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

use signer_vault::{openbao, scenarios, server};

#[tokio::test]
async fn the_mock() {
    let mock = mock_pki::server::start(mock_pki::server::Config::default()).await.unwrap();
    let server = server::Server::new(mock.url("vault"), &mock.root_token, Some(&mock.control_url));
    scenarios::prepare(&server).await;
    scenarios::all(&server).await;
}

#[tokio::test]
async fn a_real_openbao() {
    match openbao::start() {
        Ok(bao) => {
            scenarios::prepare(&bao.server).await;
            scenarios::all(&bao.server).await;
        }
        Err(absent) => println!("skipped: {absent}"),
    }
}
