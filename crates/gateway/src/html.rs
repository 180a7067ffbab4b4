//! What every HTML answer of the gateway says beside its content.

use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue};

/// What HTML may load and who may frame it. Pictures may lie anywhere that is reached safely: a
/// picture runs nothing, and what an application takes as an address of one must also be shown.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' data: https:; object-src 'none'; base-uri 'none'; \
     frame-ancestors 'none'; form-action 'self'",
);
pub(crate) const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");

/// Adds what every HTML answer says beside its content.
pub(crate) fn guard(headers: &mut HeaderMap) {
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(REFERRER_POLICY, SAME_ORIGIN);
}
