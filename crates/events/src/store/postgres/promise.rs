//! What an acknowledged write means on a server, asked of its own settings, and how long a commit takes there.
//!
//! `synchronous_commit` below `on` is refused for each connection. What is asked here is the whole server's, which its
//! administrator sets and a restart changes: one that does not wait for its disk may be meant so, for tests, and is
//! told in every word about it instead.

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};

use super::connection;
use super::trouble;
use crate::error::Error;
use crate::store::options::Host;

/// How many commits are timed.
const COMMITS: usize = 10;

/// What a server does with an acknowledged write.
#[derive(Clone, Debug)]
pub struct Promise {
    /// Whether it is on a disk.
    pub is_on_disk: bool,
    /// The same in a sentence.
    pub says: String,
}

/// The settings that decide it.
struct Durability {
    fsync: String,
    full_page_writes: String,
    standbys: String,
}

impl Host {
    /// Asks the server; `now` times some commits.
    ///
    /// # Errors
    /// [`Error::Environment`]: it is away; ask again.
    pub async fn promise(&self, now: impl Fn() -> Instant) -> Result<Promise, Error> {
        let mut one = connection::one(&self.whole_address(), "public").await?;
        let asked = "SELECT current_setting('fsync') AS fsync,
            current_setting('full_page_writes') AS full_page_writes,
            current_setting('synchronous_standby_names') AS standbys";
        let asked = sqlx::query_as(asked).fetch_one(&mut one).await;
        let (fsync, full_page_writes, standbys) = asked.map_err(trouble::from)?;
        let durability = Durability { fsync, full_page_writes, standbys };
        let commit = commit_time(&mut one, now).await.map_err(trouble::from)?;
        one.close().await.map_err(trouble::from)?;
        Ok(durability.promise(commit))
    }
}

/// How long a commit takes, the median of some: each writes a few bytes that nobody reads.
async fn commit_time(
    one: &mut PgConnection,
    now: impl Fn() -> Instant,
) -> Result<Duration, sqlx::Error> {
    let mut times = Vec::with_capacity(COMMITS);
    for _ in 0..COMMITS {
        let before = now();
        let write = "SELECT pg_logical_emit_message(true, 'yeoul', '')::TEXT";
        sqlx::query(write).execute(&mut *one).await?;
        times.push(now().duration_since(before));
    }
    times.sort_unstable();
    Ok(times[COMMITS / 2])
}

impl Durability {
    fn promise(&self, commit: Duration) -> Promise {
        let off = [("fsync", &self.fsync), ("full_page_writes", &self.full_page_writes)];
        let off: Vec<&str> =
            off.iter().filter(|(_, is)| *is != "on").map(|(name, _)| *name).collect();
        let is_on_disk = off.is_empty();
        let standbys = if self.standbys.is_empty() { "" } else { " and its standbys'" };
        let means = if is_on_disk {
            format!("an acknowledged write is on the server's disk{standbys}")
        } else {
            format!(
                "an acknowledged write is NOT on the server's disk, whose end takes it and may hurt all that is there: \
                 {} is off",
                off.join(" and ")
            )
        };
        let millis = commit.as_secs_f64() * 1_000.0;
        let most = 1.0 / commit.as_secs_f64().max(1e-6);
        let speed = format!(
            "a commit takes {millis:.2} ms; services share it, those who write a partition by SQL alone do not: \
             at most {most:.0} a second"
        );
        Promise { is_on_disk, says: format!("{means}; {speed}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::postgres::fixture::TestSchema;

    #[test]
    fn what_is_off_is_said_and_nothing_else() {
        for (fsync, pages, standbys, on_disk, words) in [
            ("on", "on", "", true, "is on the server's disk; a commit takes 2.00 ms"),
            ("on", "on", "b", true, "on the server's disk and its standbys'; "),
            ("off", "on", "", false, "NOT on the server's disk"),
            ("off", "off", "", false, "fsync and full_page_writes is off"),
            ("on", "off", "", false, "there: full_page_writes is off"),
        ] {
            let [fsync, full_page_writes, standbys] = [fsync, pages, standbys].map(str::to_owned);
            let promise =
                Durability { fsync, full_page_writes, standbys }.promise(Duration::from_millis(2));
            assert_eq!(promise.is_on_disk, on_disk, "{}", promise.says);
            assert!(promise.says.contains(words), "{}", promise.says);
            assert!(promise.says.ends_with("at most 500 a second"), "{}", promise.says);
        }
    }

    /// The servers of the tests do not wait for their disk.
    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "a clock for the commits")]
    async fn a_server_says_what_it_is_set_to() {
        let address = TestSchema::fresh().address.parse().unwrap();
        let host = Host { address, password: None, connections: 1 };
        let promise = host.promise(Instant::now).await.unwrap();
        assert!(!promise.is_on_disk && promise.says.contains("fsync is off"), "{}", promise.says);
    }
}
