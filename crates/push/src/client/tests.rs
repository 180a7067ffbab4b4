//! One receiver by a bare socket: what it reads is the head of a request without a body, and which connection brought it.

use std::sync::Arc;

use chassis::clock;
use http::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// What becomes of a request.
#[derive(Clone, Copy)]
enum Reply {
    Answer,
    /// The connection ends, and nothing was said.
    Die,
    /// Nothing is said.
    Hang,
}

/// Somebody who replies to one request after the other in this way, and in the end always with an answer.
struct Receiver {
    replies: Mutex<Vec<Reply>>,
    /// By which connection each request came, counted from 0.
    got: Mutex<Vec<usize>>,
    /// The newest request's head.
    head: Mutex<String>,
}

impl Receiver {
    async fn start(replies: &[Reply]) -> (Arc<Receiver>, Client) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let replies = replies.iter().rev().copied().collect();
        let (replies, got, head) = (Mutex::new(replies), Mutex::default(), Mutex::default());
        let receiver = Arc::new(Receiver { replies, got, head });
        let accepting = Arc::clone(&receiver);
        tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(Arc::clone(&accepting).serve(stream, connection));
            }
        });
        (receiver, client(&address))
    }

    async fn serve(self: Arc<Receiver>, mut stream: TcpStream, connection: usize) {
        let mut head = Vec::new();
        while stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {
            if !head.ends_with(b"\r\n\r\n") {
                continue;
            }
            *self.head.lock().expect("sound") = String::from_utf8_lossy(&head).into_owned();
            head.clear();
            self.got.lock().expect("sound").push(connection);
            let reply = self.replies.lock().expect("sound").pop();
            match reply.unwrap_or(Reply::Answer) {
                Reply::Answer => {
                    let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
                    stream.write_all(answer).await.expect("somebody reads");
                }
                Reply::Die => return,
                Reply::Hang => {}
            }
        }
    }

    fn got(&self) -> Vec<usize> {
        self.got.lock().expect("sound").clone()
    }
}

fn client(address: &str) -> Client {
    let allowed = ["loopback"].into_iter().map(|it| it.parse().expect("an entry")).collect();
    Client::new(address.parse().expect("an address"), allowed)
}

const WITHIN: Duration = Duration::from_secs(20);

/// Posts, and waits until what is idle can be used again.
async fn post(client: &Client, now: Instant, within: Duration) -> Result<StatusCode, NoAnswer> {
    let message = Message { headers: HeaderMap::new(), body: Bytes::new() };
    let answered = client.post(&message, now, within).await;
    while !client.idle().iter().all(|it| it.sender.is_ready()) {
        tokio::task::yield_now().await;
    }
    answered.map(|it| it.status)
}

#[tokio::test]
async fn a_request_that_its_receiver_may_have_had_is_not_sent_again() {
    let (receiver, client) = Receiver::start(&[Reply::Answer, Reply::Die]).await;
    let now = clock::now();
    assert_eq!(post(&client, now, WITHIN).await, Ok(StatusCode::NO_CONTENT));
    let refused = post(&client, now, WITHIN).await.unwrap_err();
    let NoAnswer::Unheard(refused) = refused else { panic!("it was sent: {refused:?}") };
    assert!(refused.starts_with("no answer: "), "{refused}");
    assert_eq!(receiver.got(), [0, 0], "it had it once");
    assert_eq!(post(&client, now, WITHIN).await, Ok(StatusCode::NO_CONTENT));
    assert_eq!(receiver.got(), [0, 0, 1]);
}

#[tokio::test]
async fn a_body_of_nothing_says_so() {
    let (receiver, client) = Receiver::start(&[]).await;
    post(&client, clock::now(), WITHIN).await.expect("answered");
    let head = receiver.head.lock().expect("sound").to_ascii_lowercase();
    assert!(head.contains("\r\ncontent-length: 0\r\n"), "{head}");
}

#[tokio::test]
async fn an_idle_connection_is_used_again_until_it_is_old() {
    let (receiver, client) = Receiver::start(&[]).await;
    let began = clock::now();
    let almost = IDLE_FOR - Duration::from_millis(1);
    for now in [began, began + almost, began + almost + IDLE_FOR] {
        post(&client, now, WITHIN).await.expect("an answer");
    }
    assert_eq!(receiver.got(), [0, 0, 1]);
    assert_eq!(client.idle().len(), 1, "the old one is not kept");
}

#[tokio::test]
async fn after_an_answer_that_did_not_come_no_idle_connection_is_used() {
    let (receiver, client) = Receiver::start(&[Reply::Answer, Reply::Answer, Reply::Hang]).await;
    let now = clock::now();
    let (one, other) = tokio::join!(post(&client, now, WITHIN), post(&client, now, WITHIN));
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    assert_eq!(client.idle().len(), 2, "side by side");
    let late = post(&client, now, Duration::from_millis(200)).await.unwrap_err();
    assert_eq!(late, NoAnswer::Unheard("no answer within 200ms".to_owned()));
    post(&client, now, WITHIN).await.expect("an answer");
    assert_eq!(receiver.got().last(), Some(&2), "a fresh one");
}

#[tokio::test]
async fn where_nobody_is_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let client = client(&address);
    let nobody = post(&client, clock::now(), WITHIN).await.unwrap_err();
    assert!(matches!(&nobody, NoAnswer::Unreached(why) if why.contains("refused")), "{nobody:?}");
}
