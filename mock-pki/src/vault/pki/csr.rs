//! Reading and judging requests, with Go's error texts.

use x509::{Csr, KeyType};

use crate::vault::{error::Refusal, fields::Fields, pki::role::Rules};

/// The request in `csr`, signed by its own key.
pub(crate) fn read_csr(fields: &Fields) -> Result<Csr, Refusal> {
    let text = fields.text("csr")?;
    if text.is_empty() {
        return Err(Refusal::bad("\"csr\" is empty"));
    }
    // Any label will do, and the first block counts.
    let block = x509::pem::blocks(&text).next().and_then(Result::ok);
    let der =
        block.and_then(|block| block.decode().ok()).ok_or_else(|| Refusal::bad("csr contains no data"))?;
    let csr = Csr::from_der(&der).map_err(|_| {
        Refusal::bad(format!("certificate request could not be parsed: {}", go_asn1_error(&der)))
    })?;
    if let KeyType::Rsa { bits: ..2048 } = csr.key_type() {
        return Err(Refusal::bad("RSA keys < 2048 bits are unsafe and not supported"));
    }
    csr.verify().map_err(|_| Refusal::bad("request signature invalid"))?;
    Ok(csr)
}

/// Go's `encoding/asn1` on the mistakes people make: a cut-off file, and DER of something else.
fn go_asn1_error(der: &[u8]) -> String {
    let truncated = match der {
        [0x30, length @ 0..0x80, rest @ ..] => rest.len() < usize::from(*length),
        [0x30, 0x82, high, low, rest @ ..] => rest.len() < usize::from(u16::from_be_bytes([*high, *low])),
        _ => der.len() < 2,
    };
    match der {
        _ if truncated => "asn1: syntax error: truncated tag or length".to_owned(),
        [0x30, ..] => "asn1: structure error: malformed certificate request".to_owned(),
        [tag, length, ..] => format!(
            "asn1: structure error: tags don't match (16 vs {{class:{} tag:{} length:{length} isCompound:{}}}) \
             {{optional:false explicit:false application:false private:false defaultValue:<nil> tag:<nil> \
             stringType:0 timeType:0 set:false omitEmpty:false}} certificateRequest @2",
            tag >> 6,
            tag & 0x1f,
            tag & 0x20 != 0
        ),
        _ => "asn1: syntax error: sequence truncated".to_owned(),
    }
}

/// Whether a role allows a request's key. Sizes are minimums.
pub(crate) fn check_key(rules: &Rules, key: &KeyType) -> Result<(), Refusal> {
    let (kind, bits) = match key {
        KeyType::Rsa { bits } => ("rsa", i64::from(*bits)),
        KeyType::EcP256 => ("ec", 256),
        KeyType::EcP384 => ("ec", 384),
        KeyType::EcP521 => ("ec", 521),
        KeyType::Ed25519 => ("ed25519", 0),
        KeyType::Other(_) => ("unknown", 0),
    };
    if rules.key_type != "any" && rules.key_type != kind {
        return Err(Refusal::bad(format!("role requires keys of type {}", rules.key_type)));
    }
    if bits < rules.key_bits {
        let least = rules.key_bits;
        return Err(Refusal::bad(format!(
            "role requires a minimum of a {least}-bit key, but CSR's key is {bits} bits"
        )));
    }
    Ok(())
}
