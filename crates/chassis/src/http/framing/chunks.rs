//! A chunked body, byte by byte where lines are and at one step over data: whether every line ends in
//! CR LF, and where the body ends.
//!
//! The parser behind takes a lone LF in the trailer section for the end of a line and would read a
//! request that hides behind it as a field, or a field as a request. What a size or an extension says
//! is that parser's to judge; here only the ends of lines are.

/// Where in a chunked body the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    Size {
        digits: u8,
        size: u64,
    },
    Extension {
        size: u64,
    },
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataEnd,
    DataEndLine,
    /// The first byte of a line of the trailer section.
    Line,
    Trailer,
    TrailerEnd,
    LastEnd,
}

/// What of a piece belongs to the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fed {
    pub(super) bytes: usize,
    pub(super) then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    More,
    Ended,
    Broken,
}

/// More digits than a size of 64 bits has.
const DIGITS_MAX: u8 = 16;

impl Default for Chunks {
    fn default() -> Chunks {
        Chunks::Size { digits: 0, size: 0 }
    }
}

impl Chunks {
    /// Goes on over `bytes`.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Fed {
        let mut at = 0;
        while at < bytes.len() {
            // Data is passed over at one step, whatever it holds; only lines are read byte by byte.
            if let Chunks::Data { left } = self {
                let taken = (bytes.len() - at).min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                at += taken;
                if *left == 0 {
                    *self = Chunks::DataEnd;
                }
                continue;
            }
            // The empty line behind the trailers: what follows is the next message's.
            if *self == Chunks::LastEnd && bytes[at] == b'\n' {
                return Fed { bytes: at + 1, then: Then::Ended };
            }
            match self.step(bytes[at]) {
                Some(next) => *self = next,
                None => return Fed { bytes: at, then: Then::Broken },
            }
            at += 1;
        }
        Fed { bytes: at, then: Then::More }
    }

    /// What follows after one byte that is no data; `None` where it may not be there.
    fn step(self, byte: u8) -> Option<Chunks> {
        match (self, byte) {
            (Chunks::Size { digits, size }, _) => size_step(digits, size, byte),
            (Chunks::Extension { size }, b'\r') => Some(Chunks::SizeEnd { size }),
            (Chunks::Extension { size }, _) if byte != b'\n' => Some(Chunks::Extension { size }),
            // A size of nothing is the last one; trailers may follow.
            (Chunks::SizeEnd { size: 0 }, b'\n') => Some(Chunks::Line),
            (Chunks::SizeEnd { size }, b'\n') => Some(Chunks::Data { left: size }),
            (Chunks::DataEnd, b'\r') => Some(Chunks::DataEndLine),
            (Chunks::DataEndLine, b'\n') => Some(Chunks::default()),
            (Chunks::Line, b'\r') => Some(Chunks::LastEnd),
            (Chunks::Line | Chunks::Trailer, _) if byte != b'\n' && byte != b'\r' => {
                Some(Chunks::Trailer)
            }
            (Chunks::Trailer, b'\r') => Some(Chunks::TrailerEnd),
            (Chunks::TrailerEnd, b'\n') => Some(Chunks::Line),
            _ => None,
        }
    }
}

fn size_step(digits: u8, size: u64, byte: u8) -> Option<Chunks> {
    match char::from(byte).to_digit(16) {
        Some(digit) if digits < DIGITS_MAX => {
            Some(Chunks::Size { digits: digits + 1, size: size << 4 | u64::from(digit) })
        }
        None if digits == 0 => None,
        None if byte == b'\r' => Some(Chunks::SizeEnd { size }),
        None if b"; \t".contains(&byte) => Some(Chunks::Extension { size }),
        _ => None,
    }
}
