//! The content codings a page is kept in.
//!
//! Brotli at a middle quality: a page is compressed once per version and read many times, but the
//! first reader waits for it.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Brotli's quality: near gzip's time with a better ratio.
const BROTLI_QUALITY: i32 = 5;

/// Brotli's window as a power of two, well above any page.
const BROTLI_WINDOW: i32 = 18;

/// Gzip's level.
const GZIP_LEVEL: u32 = 6;

/// How a page's bytes are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// As they are.
    Identity,
    /// gzip (RFC 1952).
    Gzip,
    /// Brotli (RFC 7932).
    Br,
}

impl Encoding {
    /// All there are, the smallest result first.
    pub const ALL: [Encoding; 3] = [Encoding::Br, Encoding::Gzip, Encoding::Identity];

    /// The content coding's registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Encoding::Identity => "identity",
            Encoding::Gzip => "gzip",
            Encoding::Br => "br",
        }
    }

    /// `body`, coded.
    pub(crate) fn encode(self, body: &Bytes) -> Bytes {
        match self {
            Encoding::Identity => body.clone(),
            Encoding::Gzip => gzip(body),
            Encoding::Br => brotli(body),
        }
    }
}

fn gzip(body: &[u8]) -> Bytes {
    let mut encoder =
        GzEncoder::new(Vec::with_capacity(body.len() / 2), Compression::new(GZIP_LEVEL));
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.expect("memory takes every byte").into()
}

fn brotli(body: &[u8]) -> Bytes {
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: BROTLI_QUALITY,
        lgwin: BROTLI_WINDOW,
        size_hint: body.len(),
        ..Default::default()
    };
    let mut coded = Vec::with_capacity(body.len() / 2);
    brotli::BrotliCompress(&mut &*body, &mut coded, &parameters).expect("memory takes every byte");
    coded.into()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn every_coding_decodes_to_what_went_in() {
        for body in [Vec::new(), b"<p>".to_vec(), "가나다 abc ".repeat(2000).into_bytes()] {
            let body = Bytes::from(body);
            let (mut ungzipped, mut unbrotlied) = (Vec::new(), Vec::new());
            let gzip = Encoding::Gzip.encode(&body);
            flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut ungzipped).expect("gzip");
            let mut br = &Encoding::Br.encode(&body)[..];
            brotli::BrotliDecompress(&mut br, &mut unbrotlied).expect("brotli");
            assert_eq!(ungzipped, body);
            assert_eq!(unbrotlied, body);
            assert_eq!(Encoding::Identity.encode(&body), body);
        }
    }
}
