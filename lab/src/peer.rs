//! The peers: how each is started on a free port, and which command installs it.
//!
//! The settings are in `peers/`, templates with names in double braces. They are the fair ones: the
//! peer's own advice for throughput, access log off, connections to the origin kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clock;
use crate::error::Error;
use crate::process::{Server, free_address, on_path, pinned, tied};
use crate::report::Missing;

/// What the origin answers: 200 bytes of JSON.
pub(crate) const ORIGIN_BODY: &str = concat!(
    r#"{"id":1,"name":"TV","stock":1000,"price":300000,"pad":""#,
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    r#""}"#
);

/// A kind of server to be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Nginx,
    Haproxy,
    Envoy,
    Varnish,
}

impl Peer {
    /// The name it is asked for by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Nginx => "nginx",
            Peer::Haproxy => "haproxy",
            Peer::Envoy => "envoy",
            Peer::Varnish => "varnish",
        }
    }

    fn program(self) -> &'static str {
        match self {
            Peer::Nginx => "nginx",
            Peer::Haproxy => "haproxy",
            Peer::Envoy => "envoy",
            Peer::Varnish => "varnishd",
        }
    }

    /// Where its program is.
    ///
    /// # Errors
    /// It is not installed; what installs it.
    pub(crate) fn find(self) -> Result<PathBuf, Missing> {
        on_path(self.program()).ok_or_else(|| Missing {
            peer: self.name(),
            remedy: format!("cargo xtask services install {}", self.name()),
        })
    }
}

/// A running peer.
pub(crate) struct Running {
    pub(crate) peer: Peer,
    pub(crate) address: String,
    pub(crate) server: Server,
}

/// The origin behind every proxy: nginx answering from memory on the client's core. Without nginx
/// the lab answers itself.
pub(crate) fn origin(folder: &Path) -> Result<Origin, Error> {
    let folder = below(folder, "origin")?;
    let address = free_address()?;
    // Ours costs more CPU than nginx, but on the core of the client, which is not what is read.
    let Ok(program) = Peer::Nginx.find() else { return Origin::own() };
    let settings = fill(
        include_str!("../peers/origin.conf"),
        &[("folder", &show(&folder)), ("address", &address), ("body", ORIGIN_BODY)],
    );
    let server = nginx(tied(program), &settings, &folder)?.listening(&address)?;
    Ok(Origin { address, _server: Some(server) })
}

/// A running origin.
pub(crate) struct Origin {
    pub(crate) address: String,
    _server: Option<Server>,
}

impl Origin {
    /// A thread per connection, until this process ends.
    fn own() -> Result<Origin, Error> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || answer_always(stream));
            }
        });
        Ok(Origin { address, _server: None })
    }
}

/// Answers every request that comes in one piece, as a proxy's small GETs do.
fn answer_always(mut stream: std::net::TcpStream) {
    use std::io::{Read, Write};
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{ORIGIN_BODY}",
        ORIGIN_BODY.len()
    );
    let mut bytes = [0; 8 * 1024];
    // How much of a request that has not come whole stands at the front of `bytes`.
    let mut held = 0;
    // Without it an answer is only late, which the figures would show; so a refusal is passed over.
    let _ = stream.set_nodelay(true);
    while let Ok(read @ 1..) = stream.read(&mut bytes[held..]) {
        held += read;
        if bytes[..held].ends_with(b"\r\n\r\n") {
            held = 0;
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        // A head past the buffer is no proxy's small GET: the connection ends, and the contest counts a refusal.
        } else if held == bytes.len() {
            return;
        }
    }
}

/// Starts a proxy before the origin, on the server's core.
pub(crate) fn proxy(
    peer: Peer,
    program: &Path,
    origin: &str,
    folder: &Path,
) -> Result<Running, Error> {
    let folder = below(folder, peer.name())?;
    let address = free_address()?;
    let names = [
        ("folder", show(&folder)),
        ("address", address.clone()),
        ("port", port(&address).to_owned()),
        ("origin", origin.to_owned()),
        ("origin_port", port(origin).to_owned()),
    ];
    // The peers name the same things differently: each template takes those that it knows.
    let names = names.each_ref().map(|(name, value)| (*name, value.as_str()));
    let server = match peer {
        Peer::Nginx => nginx(
            pinned(program),
            &fill(include_str!("../peers/nginx-proxy.conf"), &names),
            &folder,
        )?,
        Peer::Haproxy => {
            let file = folder.join("haproxy.cfg");
            fs::write(&file, fill(include_str!("../peers/haproxy.cfg"), &names))?;
            let mut command = pinned(program);
            command.arg("-db").arg("-f").arg(file);
            Server::start("haproxy", command, &folder)?
        }
        Peer::Envoy => {
            let file = folder.join("envoy.yaml");
            fs::write(&file, fill(include_str!("../peers/envoy.yaml"), &names))?;
            let mut command = pinned(program);
            command.arg("-c").arg(file);
            // One worker, as all others have one core; a hot restart would take shared memory that a second run
            // finds.
            command.args(["--concurrency", "1", "-l", "off", "--disable-hot-restart"]);
            Server::start("envoy", command, &folder)?
        }
        Peer::Varnish => {
            let file = folder.join("varnish.vcl");
            fs::write(&file, fill(include_str!("../peers/varnish.vcl"), &names))?;
            let mut command = pinned(program);
            // In the foreground and without its jail: what is ended and counted is the process that was started
            // and its child.
            command.args(["-F", "-j", "none", "-a", &address, "-s", "malloc,64m", "-n"]);
            command.arg(below(&folder, "state")?).arg("-f").arg(file);
            Server::start("varnish", command, &folder)?
        }
    };
    Ok(Running { peer, server: server.listening(&address)?, address })
}

/// Starts nginx with this page as a file at `/page.html`, on the server's core.
pub(crate) fn page_file(program: &Path, page: &[u8], folder: &Path) -> Result<Running, Error> {
    let folder = below(folder, "nginx-page")?;
    fs::write(below(&folder, "www")?.join("page.html"), page)?;
    let address = free_address()?;
    let settings = fill(
        include_str!("../peers/nginx-page.conf"),
        &[("folder", &show(&folder)), ("address", &address)],
    );
    let server = nginx(pinned(program), &settings, &folder)?.listening(&address)?;
    Ok(Running { peer: Peer::Nginx, address, server })
}

fn nginx(mut command: Command, settings: &str, folder: &Path) -> Result<Server, Error> {
    let file = folder.join("nginx.conf");
    fs::write(&file, settings)?;
    command.arg("-p").arg(folder).arg("-c").arg(file).args(["-e", "stderr"]);
    Server::start("nginx", command, folder)
}

fn below(folder: &Path, name: &str) -> Result<PathBuf, Error> {
    let below = folder.join(name);
    fs::create_dir_all(&below)?;
    Ok(below)
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

fn port(address: &str) -> &str {
    address.rsplit(':').next().unwrap_or_default()
}

/// A template with its names filled in.
pub(crate) fn fill(template: &str, names: &[(&str, &str)]) -> String {
    names.iter().fold(template.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{{{name}}}}}"), value)
    })
}

/// The time a server needs between its last start and a steady state.
pub(crate) fn settle() {
    clock::pause(std::time::Duration::from_millis(200));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Connection, Request};

    #[test]
    fn the_origin_answers_two_hundred_bytes_of_json() {
        assert_eq!(ORIGIN_BODY.len(), 200);
        assert!(serde_json::from_str::<serde_json::Value>(ORIGIN_BODY).is_ok());
    }

    #[test]
    fn our_own_origin_answers_again_and_again() {
        let origin = Origin::own().unwrap();
        let request = Request::new("GET", &origin.address, "/product/1").bytes();
        let mut connection = Connection::open(&origin.address).unwrap();
        for _ in 0..3 {
            assert_eq!(connection.call("GET", &request).unwrap().body, ORIGIN_BODY.as_bytes());
        }
    }

    #[test]
    fn every_name_of_every_template_is_filled_in() {
        let names =
            ["folder", "address", "port", "origin", "origin_port", "body"].map(|name| (name, "1"));
        for template in [
            include_str!("../peers/origin.conf"),
            include_str!("../peers/nginx-proxy.conf"),
            include_str!("../peers/nginx-page.conf"),
            include_str!("../peers/haproxy.cfg"),
            include_str!("../peers/envoy.yaml"),
            include_str!("../peers/varnish.vcl"),
            include_str!("../peers/proxy.yaml"),
        ] {
            assert!(template.contains("{{"));
            assert!(!fill(template, &names).contains("{{"), "{template}");
        }
    }

    #[test]
    fn a_peer_that_is_missing_names_the_command_that_brings_it() {
        for peer in [Peer::Nginx, Peer::Haproxy, Peer::Envoy, Peer::Varnish] {
            if let Err(missing) = peer.find() {
                assert_eq!(missing.remedy, format!("cargo xtask services install {}", peer.name()));
            }
        }
    }
}
