//! The access tokens that a request's cookies bring: which of them are ours, for a bounded work.
//!
//! Who can plant one cookie of our name before the right one can plant a hundred, and none of them may make
//! a nobody of who brings a good one. So what costs nothing counts nothing: a text that is no token of ours by
//! its shape or its key, and a token that was verified before, as the one of a browser that has been here
//! was. Only signatures are work, and of these a request has [`CHECKED_MAX`] checked; how many cookies there
//! are, the limit of a head bounds.

use std::sync::Arc;

use chassis::identity::{Principal, Recalled, Verifier};

/// Signatures that are checked for the cookies of one request.
pub(crate) const CHECKED_MAX: usize = 8;

/// An access token, and whose it is or was.
pub(crate) struct Access<'t> {
    pub(crate) token: &'t str,
    pub(crate) principal: Arc<Principal>,
}

/// Those of `tokens` that are ours, in their order, whatever they are good for by now.
pub(crate) fn ours<'t>(
    tokens: impl Iterator<Item = &'t str>,
    verifier: &Verifier,
) -> impl Iterator<Item = Access<'t>> {
    let mut left = CHECKED_MAX;
    tokens.filter_map(move |token| {
        let principal = match verifier.recall(token) {
            Recalled::Known(principal) => principal,
            Recalled::Unchecked if left > 0 => {
                left -= 1;
                verifier.inspect(token).ok()?
            }
            Recalled::Unchecked | Recalled::Foreign => return None,
        };
        Some(Access { token, principal })
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chassis::identity::{Role, Signer, fixture};
    use jiff::Timestamp;

    use super::*;

    /// How many of the tokens are ours, to a verifier that has seen `known` before.
    fn found(tokens: &[&str], known: &[&str], signer: &Signer) -> usize {
        let verifier = fixture::verifier(&signer.public_keys());
        known.iter().for_each(|token| drop(verifier.inspect(token).expect("a good one")));
        ours(tokens.iter().copied(), &verifier).count()
    }

    fn behind<'t>(many: usize, junk: &'t str, good: &'t str) -> Vec<&'t str> {
        [vec![junk; many], vec![good]].concat()
    }

    #[test]
    fn junk_costs_nothing_and_only_signatures_count() {
        let signer = fixture::signer();
        let role = Role::parse("CUSTOMER").expect("a role");
        let mint = |signer: &Signer| {
            fixture::token(signer, "a@b", &role, Timestamp::UNIX_EPOCH, Duration::from_secs(60))
                .text
        };
        let (good, foreign) = (mint(&signer), mint(&fixture::signer()));
        let (text, _) = good.rsplit_once('.').expect("three parts");
        let forged = format!("{text}.{}", "A".repeat(86));
        for many in [0, 8, 20, 100, 1_000] {
            for junk in ["", "junk", "a.b.c", &foreign] {
                assert_eq!(found(&behind(many, junk, &good), &[], &signer), 1, "{many} of {junk}");
            }
            // A browser that has been here brings what was verified before, whatever stands before it.
            assert_eq!(found(&behind(many, &forged, &good), &[&good], &signer), 1, "{many} forged");
        }
        assert_eq!(found(&behind(CHECKED_MAX - 1, &forged, &good), &[], &signer), 1);
        assert_eq!(found(&behind(CHECKED_MAX, &forged, &good), &[], &signer), 0, "past the limit");
        let different: Vec<String> = (0..=CHECKED_MAX).map(|_| mint(&signer)).collect();
        let different: Vec<&str> = different.iter().map(String::as_str).collect();
        assert_eq!(found(&different, &[], &signer), CHECKED_MAX, "good ones are work too");
        assert_eq!(found(&different, &different[..2], &signer), CHECKED_MAX + 1);
    }
}
