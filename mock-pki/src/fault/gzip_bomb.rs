//! A small answer that becomes a huge one.

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress};
use http::{HeaderValue, header};
use http_body_util::BodyExt as _;
use serde::Deserialize;

use crate::fault::{Asked, Kind, Misbehaviour, Reply, connection::Repeated, parameters, with_body};

pub(crate) const KIND: Kind = Kind {
    name: "gzip-bomb",
    about: "answers with `Content-Encoding: gzip` and zeros that inflate to this many MiB, a thousandth on the wire",
    parameters: r#"{"mebibytes": 1024}"#,
    build: parameters::<GzipBomb>,
};

const MEBIBYTE: usize = 1024 * 1024;

/// 1 TiB; beyond that the time to say it is the fault.
const MOST: u64 = MEBIBYTE as u64;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct GzipBomb {
    mebibytes: u64,
}

impl Default for GzipBomb {
    fn default() -> Self {
        Self { mebibytes: 1024 }
    }
}

impl Misbehaviour for GzipBomb {
    fn spoil(&self, reply: Reply, _: &Asked<'_>) -> Reply {
        let Reply::Answer(answer) = reply else { return reply };
        let mut spoiled = with_body(&answer, bomb(self.mebibytes.clamp(1, MOST)).boxed_unsync());
        spoiled.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        Reply::Answer(spoiled)
    }
}

/// One mebibyte is compressed once; after a full flush its bytes can be repeated.
fn bomb(mebibytes: u64) -> Repeated {
    let zeros = vec![0; MEBIBYTE];
    let mut block = Vec::with_capacity(4096);
    let mut end = Vec::with_capacity(64);
    let mut deflate = Compress::new(Compression::best(), false);
    let _ = deflate.compress_vec(&zeros, &mut block, FlushCompress::Full);
    let _ = deflate.compress_vec(&[], &mut end, FlushCompress::Finish);
    let mut one = Crc::new();
    one.update(&zeros);
    let mut all = Crc::new();
    (0..mebibytes).for_each(|_| all.combine(&one));
    // RFC 1952: magic, deflate, no flags, no time, best compression, unknown system.
    let head = Bytes::from_static(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255]);
    end.extend(all.sum().to_le_bytes());
    end.extend(all.amount().to_le_bytes());
    Repeated::between(head, block.into(), mebibytes, end.into())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::fault::connection::collect;

    #[tokio::test]
    async fn a_bomb_is_sound_gzip() {
        let packed = collect(bomb(3).boxed_unsync()).await;
        assert!(packed.len() < 8192, "{} bytes", packed.len());
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked.len(), 3 * MEBIBYTE);
        assert!(unpacked.iter().all(|byte| *byte == 0));
    }
}
