//! argon2id in memory that is kept between hashes and given back whole.
//!
//! Allocated anew for each hash, 19 MiB at a time from two threads, the memory stayed in the
//! allocator's arenas: 25 sign-ins left 400 MB. Here a thread has one block of memory while it is busy.
//! It asks for more than it touches: from 32 MiB on the system's allocator maps memory for itself and
//! unmaps it when it is freed, whatever was freed before.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use chassis::chance;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// Blocks of 1 KiB asked for: past the largest size that is kept for later by the allocator. Only those
/// that a hash uses are touched, and count as memory.
const BLOCKS_RESERVED: usize = 33 * 1024;

/// The memory of one thread.
#[derive(Default)]
pub(super) struct Blocks(Vec<Block>);

impl Blocks {
    pub(super) fn is_empty(&self) -> bool {
        self.0.capacity() == 0
    }

    /// Gives the memory back to the system.
    pub(super) fn give_back(&mut self) {
        self.0 = Vec::new();
    }

    fn of(&mut self, count: usize) -> &mut [Block] {
        if self.0.capacity() < count {
            self.0 = Vec::with_capacity(count.max(BLOCKS_RESERVED));
        }
        if self.0.len() < count {
            self.0.resize(count, Block::new());
        }
        &mut self.0[..count]
    }
}

/// The PHC string of a new password; nothing where it cannot be hashed.
pub(super) fn hash(blocks: &mut Blocks, password: &str) -> Option<String> {
    let mut salt = [0; SALT_BYTES];
    chance::fill(&mut salt);
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("constants within range");
    let output = compute(blocks, password, HashKind { salt: &salt, bytes: HASH_BYTES }, &params)?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).ok()?,
        salt: Some(Salt::new(&salt).ok()?),
        hash: Some(output),
    };
    Some(hash.to_string())
}

/// Whether `password` is the one behind `phc`; nothing where that cannot be computed.
pub(super) fn verify(blocks: &mut Blocks, password: &str, phc: &str) -> Option<bool> {
    let Ok(stored) = PasswordHash::new(phc) else { return Some(false) };
    let (Some(salt), Some(expected)) = (&stored.salt, &stored.hash) else { return Some(false) };
    let ours = stored.algorithm == Algorithm::Argon2id.ident()
        && stored.version == Some(Version::V0x13.into());
    let Some(params) = Params::try_from(&stored).ok().filter(|_| ours) else { return Some(false) };
    let kind = HashKind { salt, bytes: expected.as_bytes().len() };
    let output = compute(blocks, password, kind, &params)?;
    // Compared in constant time.
    Some(output == *expected)
}

/// Which hash of a password.
#[derive(Clone, Copy)]
struct HashKind<'s> {
    salt: &'s [u8],
    /// How long it is.
    bytes: usize,
}

fn compute(
    blocks: &mut Blocks,
    password: &str,
    kind: HashKind<'_>,
    params: &Params,
) -> Option<Output> {
    let HashKind { salt, bytes } = kind;
    let mut output = [0; Output::MAX_LENGTH];
    let output = output.get_mut(..bytes)?;
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let memory = blocks.of(params.block_count());
    argon.hash_password_into_with_memory(password.as_bytes(), salt, output, memory).ok()?;
    Output::new(output).ok()
}
