//! What is left of a refused request's body: read and dropped for a bounded while, so that the
//! client gets to see the refusal before the connection closes.

use bytes::Bytes;
use chassis::http::body::{DROPPED_BYTES_MAX, DROPPED_FOR};
use http::HeaderMap;
use http::header::EXPECT;
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// Reads and drops the rest of a body. A client that waits to be told to send has sent nothing.
pub(crate) async fn rest(headers: &HeaderMap, mut body: Incoming) {
    if body.is_end_stream() || headers.contains_key(EXPECT) {
        return;
    }
    let reading = async move {
        let mut dropped = 0;
        while let Some(Ok(frame)) = body.frame().await {
            dropped += frame.data_ref().map_or(0, Bytes::len);
            if dropped > DROPPED_BYTES_MAX {
                return;
            }
        }
    };
    // On the heap: every request's future would have to be large enough for what hardly any needs.
    // The client gets its answer either way.
    let _ = Box::pin(tokio::time::timeout(DROPPED_FOR, reading)).await;
}
