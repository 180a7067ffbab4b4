//! One Kafka and one PostgreSQL for a whole run: each program's tests would start its own, which takes seconds and memory.
//!
//! Tests take topics and schemas of names that no other has there. Who stops, kills or sets its server starts one of its
//! own, and so does whoever runs tests without this chore.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::servers::kafka::{self, Kafka};
use crate::servers::postgres::{self, Postgres};
use crate::servers::{Stop, free_ports};

/// By which names tests are told where they are.
const KAFKA: &str = "YEOUL_TEST_KAFKA";
const POSTGRES: &str = "YEOUL_TEST_POSTGRES";

/// Both, for as long as this is there; dropped in this order.
pub(super) struct Servers {
    kafka: Kafka,
    postgres: Postgres,
    #[cfg_attr(not(test), expect(dead_code, reason = "it goes when this does"))]
    folder: Folder,
}

/// Files of servers, which go with it.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// An empty one that the servers' own users can come to.
    pub(super) fn new(name: &str) -> Result<Folder, Failure> {
        let name = format!("yeoul-test-{name}-{}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(name));
        fs::create_dir_all(&folder.0)?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Servers {
    /// Starts both.
    pub(super) fn start() -> Result<Servers, Failure> {
        let folder = Folder::new("servers")?;
        let ([first, second, third], stop) = (free_ports()?, Stop::never());
        let kafka = Kafka::start(&folder.0, [first, second], kafka::OF_TESTS, &stop)?;
        let postgres = Postgres::start(&folder.0, third, postgres::OF_TESTS, &stop)?;
        Ok(Servers { kafka, postgres, folder })
    }

    /// What tests are told.
    pub(super) fn variables(&self) -> [(&'static str, String); 2] {
        [(KAFKA, self.kafka.address()), (POSTGRES, self.postgres.address())]
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of it is in a folder that the system clears.
        drop(fs::remove_dir_all(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn both_are_where_tests_are_told_and_end_with_their_files() {
        crate::services::install_for_tests().unwrap();
        let servers = Servers::start().unwrap();
        let folder = servers.folder.0.clone();
        let place = |url: String| {
            let url = url.trim_end_matches("/postgres");
            url[url.find("127.").unwrap()..].to_owned()
        };
        let at = servers.variables().map(|(_, url)| place(url));
        assert!(at.iter().all(|it| TcpStream::connect(it).is_ok()), "{at:?}");
        drop(servers);
        assert!(!at.iter().any(|it| TcpStream::connect(it).is_ok()), "{at:?}");
        assert!(!folder.exists());
    }
}
